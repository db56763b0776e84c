from django.db import migrations

from tradingdb.lib.db import ACTING_BOT, RowSecurity

# A bot's own rows; without a bot, none.
OWN = f"bot_id = {ACTING_BOT}"


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_invariant_runs")]

    operations = [
        RowSecurity("risk_events", "own_rows", rows=OWN, new_rows=OWN),
        RowSecurity("system_events", "own_rows", rows=OWN, new_rows=OWN),
    ]
