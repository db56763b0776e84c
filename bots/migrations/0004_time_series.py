from django.db import migrations

from tradingdb.db_backend.operations import TimeSeriesPolicy


class Migration(migrations.Migration):
    dependencies = [("bots", "0003_rules")]

    operations = [
        # Bots write it: TimescaleDB has no columnstore for a table with row-level security.
        TimeSeriesPolicy("account_balance", compress_after=None),
    ]
