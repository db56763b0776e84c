"""A process of its own that tells facts: it reads lines of JSON, says it is ready, waits for the word, and answers.

One round: `{"bot_id": …, "facts": [[kind, {…}], …]}`, then `go`; the answer is one line with a list.
"""

import json
import sys
from decimal import Decimal
from typing import Any

import django

KINDS = ("ToldOrder", "ToldFill", "ToldNews")
DECIMALS = {"quantity", "price", "fee", "leverage"}


def read(kind: str, fields: dict[str, Any]) -> Any:
    """Return the fact that was written as JSON."""
    from tests.bots import model_ledger

    numbers = {name: Decimal(value) for name, value in fields.items() if name in DECIMALS and value is not None}
    return getattr(model_ledger, kind)(**{**fields, **numbers})


def written(told: Any) -> list[Any]:
    """Return a fact as JSON."""
    return [type(told).__name__, {name: str(v) if isinstance(v, Decimal) else v for name, v in told._asdict().items()}]


def main() -> None:
    """Serve rounds until the input ends."""
    django.setup()
    from tests.bots.model_driver import say

    for line in sys.stdin:
        job = json.loads(line)
        facts = [read(kind, fields) for kind, fields in job["facts"]]
        tell("ready")
        sys.stdin.readline()
        tell(json.dumps([say(job["bot_id"], fact) for fact in facts]))


def tell(line: str) -> None:
    """Write a line that is read at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
