from django.db import migrations

from tradingdb.lib.db import ACTING_BOT, RowSecurity

# A bot's own rows; without a bot, none.
OWN = f"bot_id = {ACTING_BOT}"


class Migration(migrations.Migration):
    dependencies = [("config_app", "0003_rules")]

    operations = [
        RowSecurity("bot_configurations", "own_rows", rows=OWN, new_rows=OWN),
    ]
