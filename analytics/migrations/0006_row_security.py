from django.db import migrations

from tradingdb.lib.db import RowSecurity

# A bot's own rows; without a bot, none.
OWN = "bot_id = nullif(current_setting('app.bot_id', true), '')"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0005_time_series")]

    operations = [
        RowSecurity("risk_metrics", "own_rows", rows=OWN, new_rows=OWN),
    ]
