"""Every message the sockets send, built in one place. Texts of rows are made once and joined, not encoded again."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bots.ledger.shapes import stamp
from bots.live.script import LiveUpdate, encode

# As many as one batch may bring. More in one message says nothing to a person; over HTTP the lists are complete.
MOST_NEWS = 1000

Sources = Mapping[str, bool]


def now_stamp() -> str:
    """Return the server's time as it travels."""
    return stamp(datetime.now(UTC))


def snapshot(
    *, seq: int, positions: Iterable[str], bots: Iterable[str], prices: Mapping[str, str], totals: Mapping[str, Any],
    halts: Iterable[Mapping[str, Any]], sources: Sources, as_of: str,
) -> str:  # fmt: skip
    """The whole view. `as_of`: when PostgreSQL was last read; `sources`: what can be reached now."""
    return (
        f'{{"type":"snapshot","seq":{seq},"at":"{now_stamp()}","as_of":"{as_of}","sources":{encode(sources)},'
        f'"positions":[{",".join(positions)}],"bots":[{",".join(bots)}],"prices":{_by_key(prices)},'
        f'"totals":{encode(totals)},"halts":{encode(list(halts))}}}'
    )


def delta(
    *, seq: int, positions: Iterable[str], closed: Iterable[str], bots: Iterable[str], prices: Mapping[str, str],
    totals: Mapping[str, Any],
) -> str:  # fmt: skip
    """What changed since the message before: whole rows, each once."""
    return (
        f'{{"type":"delta","seq":{seq},"at":"{now_stamp()}","positions":[{",".join(positions)}],'
        f'"closed":{encode(list(closed))},"bots":[{",".join(bots)}],"prices":{_by_key(prices)},"totals":{encode(totals)}}}'
    )


def news(kind: str, *, seq: int, updates: list[LiveUpdate]) -> str:
    """News of one kind in their order: orders, fills, halts …; `omitted` counts the eldest, which are left out."""
    shown = updates[-MOST_NEWS:]
    items = [{"bot_id": update["bot_id"], "symbol": update["symbol"], **update["data"]} for update in shown]
    omitted = len(updates) - len(shown)
    return encode({"type": kind, "seq": seq, "at": now_stamp(), "items": items, "omitted": omitted})


def ping(sources: Sources) -> str:
    """Sign of life."""
    return encode({"type": "ping", "at": now_stamp(), "sources": sources})


def bot_status(*, status: str, state: str, halts: list[Mapping[str, Any]], config_versions: Mapping[str, int]) -> str:
    """First message to a bot, and whenever its status changes; `state` is the strictest restriction in force."""
    body = {"bot_status": status, "state": state, "halts": halts, "config_versions": config_versions}
    return encode({"type": "status", "at": now_stamp(), **body})


def bot_control(data: Mapping[str, Any], *, state: str) -> str:
    """A restriction that applies to the bot now, or one that is lifted; `permit_state` is what is left in force."""
    kind = "resume" if data["state"] == "ACTIVE" else "halt"
    return encode({"type": kind, "at": now_stamp(), **data, "permit_state": state})


def bot_permit(permit: Mapping[str, Any]) -> str:
    """A fresh permit, before the last one has run out."""
    return encode({"type": "permit", "at": now_stamp(), **permit})


def bot_config(config_versions: Mapping[str, int]) -> str:
    """The versions of the bot's active configuration, whenever one changes."""
    return encode({"type": "config", "at": now_stamp(), "config_versions": config_versions})


def parse(text: str) -> dict[str, Any] | None:
    """Return what a browser sent; None when it is not a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _by_key(texts: Mapping[str, str]) -> str:
    return f"{{{','.join(f'{encode(key)}:{text}' for key, text in texts.items())}}}"
