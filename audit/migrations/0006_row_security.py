from django.db import migrations

from tradingdb.lib.db import RowSecurity

# A bot's own rows; without a bot, none.
OWN = "bot_id = nullif(current_setting('app.bot_id', true), '')"


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_invariant_runs")]

    operations = [
        RowSecurity("risk_events", "own_rows", rows=OWN, new_rows=OWN),
        RowSecurity("system_events", "own_rows", rows=OWN, new_rows=OWN),
    ]
