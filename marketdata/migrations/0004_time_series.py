from django.db import migrations

from tradingdb.db_backend.operations import TimeSeriesPolicy

UNDER_AN_HOUR = ["1s", "5s", "15s", "30s", "1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "45m"]


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0003_rules")]

    operations = [
        # Counted from when a candle was stored too: history that was just brought in is not what nobody needs any more.
        TimeSeriesPolicy(
            "market_data",
            keep="1 year",
            only={"interval": UNDER_AN_HOUR},
            stored_at="created_at",
            segment_by=["exchange", "symbol", "interval"],
        ),
        TimeSeriesPolicy("order_book_snapshots", keep="3 months", segment_by=["exchange", "symbol"]),
        TimeSeriesPolicy(
            "technical_indicators",
            keep="1 year",
            segment_by=["exchange", "symbol", "timeframe", "indicator_name"],
        ),
    ]
