"""One line of a benchmark: what was measured, and against what, in the same run."""

import json
import sys
from typing import TypedDict


class BenchRow(TypedDict):
    """A value and the baseline that was measured beside it in the same run.

    `ratio` is value / baseline, `ok` whether it meets `target`; all null where there is nothing to compare with.
    """

    bench: str
    case: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    target: str | None
    ok: bool | None


def row(
    bench: str, case: str, value: float, unit: str, *, baseline: float | None = None, at_most: float | None = None,
    at_least: float | None = None,
) -> BenchRow:  # fmt: skip
    """Build a row; a target bounds the ratio to the baseline, or the value itself where there is no baseline."""
    ratio = value / baseline if baseline else None
    judged = ratio if ratio is not None else value
    target, ok = None, None
    if at_most is not None:
        target, ok = f"<= {at_most:g}", judged <= at_most
    if at_least is not None:
        target, ok = f">= {at_least:g}", judged >= at_least
    return BenchRow(
        bench=bench,
        case=case,
        value=round(value, 3),
        unit=unit,
        baseline=None if baseline is None else round(baseline, 3),
        ratio=None if ratio is None else round(ratio, 3),
        target=target,
        ok=ok,
    )


def emit(measured: BenchRow) -> None:
    """Print a row as one JSON line."""
    sys.stdout.write(json.dumps(measured) + "\n")
    sys.stdout.flush()
