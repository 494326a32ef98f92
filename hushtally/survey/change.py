"""One change between two surveys, and its effect on a customer's privacy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """The effect of a change on the customer's privacy."""

    MORE = "reveals more"
    LESS = "reveals less"
    PRIVACY = "affects privacy"
    FOLLOWS = "follows from other changes"
    NONE = "no effect on privacy"


MEANING = {
    Effect.MORE: "an observer can learn more about a customer, or can learn it for longer, or from fewer reports",
    Effect.LESS: "an observer can learn less about a customer",
    Effect.PRIVACY: "something different is asked, stored or explained to the customer; check whether it reveals more",
}


@dataclass(frozen=True)
class Change:
    """One difference: its subject, the old and the new state in words, and its effect."""

    what: str
    old: str
    new: str
    effect: Effect

    def __str__(self) -> str:
        return f"{self.what}: {self.old} -> {self.new} ({self.effect})"


def compare_values(what: str, old: object, new: object, effect: Effect = Effect.PRIVACY) -> Iterator[Change]:
    """Yield the change from `old` to `new` if they differ."""
    if old != new:
        yield Change(what, str(old), str(new), effect)
