"""The demo: three paper-trading bots on replayed real candles, talking to the HTTP API alone.

Nothing here knows Django. `history` and `registry` are pure; the processes use `tradingdb_client`.
"""
