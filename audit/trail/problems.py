"""What a check of the audit trail has found."""

from dataclasses import dataclass, field
from typing import TypedDict


class Problem(TypedDict):
    """Something wrong: the seal it was found at (None: at none), its name, and words for people."""

    seal: int | None
    problem: str
    detail: str


@dataclass(slots=True)
class Findings:
    """Collected on the way: problems of seals and others, and how much was looked at."""

    of_seals: list[Problem] = field(default_factory=list)
    others: list[Problem] = field(default_factory=list)
    rows: int = 0
    anchors: int = 0

    def seal(self, number: int, problem: str, detail: str) -> None:
        """Note something wrong with a seal, or with changes under it."""
        self.of_seals.append({"seal": number, "problem": problem, "detail": detail})

    def other(self, problem: str, detail: str) -> None:
        """Note something else."""
        self.others.append({"seal": None, "problem": problem, "detail": detail})
