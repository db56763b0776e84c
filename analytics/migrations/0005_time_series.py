from django.db import migrations

from tradingdb.db_backend.operations import TimeSeriesPolicy


class Migration(migrations.Migration):
    dependencies = [("analytics", "0004_rules")]

    operations = [
        TimeSeriesPolicy("equity_snapshots", segment_by=["currency"]),
        TimeSeriesPolicy("portfolio_snapshots", segment_by=["currency"]),
        TimeSeriesPolicy("model_predictions", segment_by=["model_id", "symbol"]),
    ]
