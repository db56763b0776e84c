from django.db import migrations

from tradingdb.lib.db import RowSecurity

# A bot's own rows; without a bot, none.
OWN = "bot_id = nullif(current_setting('app.bot_id', true), '')"


class Migration(migrations.Migration):
    dependencies = [("config_app", "0003_rules")]

    operations = [
        RowSecurity("bot_configurations", "own_rows", rows=OWN, new_rows=OWN),
    ]
