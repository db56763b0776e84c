from django.db import migrations

from tradingdb.lib.db import ACTING_BOT, RowSecurity

# A bot's own rows; without a bot, none.
OWN = f"bot_id = {ACTING_BOT}"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0005_time_series")]

    operations = [
        RowSecurity("risk_metrics", "own_rows", rows=OWN, new_rows=OWN),
    ]
