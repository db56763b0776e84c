from django.db import migrations

from tradingdb.db_backend.operations import TimeSeriesPolicy


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_rules")]

    operations = [
        TimeSeriesPolicy("system_logs", keep="1 month", segment_by=["component"]),
        TimeSeriesPolicy("system_metrics", keep="6 months", segment_by=["host"]),
        # Bots write them: TimescaleDB has no columnstore for a table with row-level security.
        TimeSeriesPolicy("system_events", compress_after=None),
    ]
