"""Stretches of a batch: operations that leave the same rows when they are sorted by kind, and so are told kind by kind.

What is told of one order keeps its order: it is reported, then there is news of it, then it is filled. Orders touch
nothing of each other until they are filled, and fills of a symbol stay in their order among themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bots.ledger.facts import Fact, NewFill, NewOrder, OrderNews

KINDS: tuple[type[Fact], ...] = (NewOrder, OrderNews, NewFill)
FILLS = KINDS.index(NewFill)
Numbers = tuple[int, ...]


@dataclass(slots=True)
class _Stretch:
    """Operations by kind; of each order the kind that was told last, and of the fills what they are known by."""

    kinds: tuple[list[int], ...] = field(default_factory=lambda: tuple([] for _ in KINDS))
    told: dict[str, int] = field(default_factory=dict)
    fills: set[str] = field(default_factory=set)
    executions: set[str] = field(default_factory=set)

    def takes(self, number: int, fact: NewOrder | OrderNews | NewFill) -> bool:
        """Take an operation, unless it must come behind the stretch."""
        kind, before = KINDS.index(type(fact)), self.told.get(fact.order_id, -1)
        if kind < before or (kind == before and kind != FILLS):
            return False
        if isinstance(fact, NewFill):
            if fact.fill_id in self.fills or fact.exchange_trade_id in self.executions:
                return False
            self.fills.add(fact.fill_id)
            self.executions |= {fact.exchange_trade_id} if fact.exchange_trade_id is not None else set()
        self.told[fact.order_id] = kind
        self.kinds[kind].append(number)
        return True

    def groups(self) -> list[Numbers]:
        """Return what is told together, in turn."""
        return [tuple(numbers) for numbers in self.kinds if numbers]


def stretches_of(operations: Sequence[tuple[int, Fact | None]]) -> list[Numbers]:
    """Return the numbers of operations in the groups, and in the order, in which they are told.

    An operation without a fact stands by itself, and nothing passes it.
    """
    groups: list[Numbers] = []
    stretch = _Stretch()
    for number, fact in operations:
        if isinstance(fact, NewOrder | OrderNews | NewFill) and stretch.takes(number, fact):
            continue
        groups += stretch.groups()
        stretch = _Stretch()
        if not (isinstance(fact, NewOrder | OrderNews | NewFill) and stretch.takes(number, fact)):
            groups.append((number,))
    return groups + stretch.groups()
