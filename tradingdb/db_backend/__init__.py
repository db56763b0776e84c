"""PostgreSQL backend: TimescaleDB hypertables where the extension is, native range partitions where it is not."""
