"""What a policy of a time-series table says. The policies themselves stand in the migrations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long the rows of one table are kept, and how TimescaleDB's community edition compresses them.

    Times are PostgreSQL intervals, months being calendar months. keep: age after which a row may go; None keeps it for
    ever. only: column and values; other rows are kept for ever. stored_at: column that must be as old as the row, so
    that history brought in later is kept as long as what came live. compress_after: age after which a chunk goes to
    the columnstore; None leaves it. segment_by: columns whose rows are compressed together.
    """

    table: str
    keep: str | None = None
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stored_at: str | None = None
    compress_after: str | None = "7 days"
    segment_by: Sequence[str] = ()

    @property
    def takes_whole_parts(self) -> bool:
        """Whether a part that is old enough goes whole, whatever its rows say."""
        return self.keep is not None and not self.only and self.stored_at is None

    def __str__(self) -> str:
        if self.keep is None:
            return "for ever"
        which = "".join(f", {column} {values[0]} to {values[-1]}" for column, values in self.only.items())
        return f"{self.keep}{which}{f', and since {self.stored_at}' if self.stored_at else ''}"
