"""One change between two surveys, and what it means for the customer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Touches(StrEnum):
    """What a change means for the customer."""

    MORE = "reveals more"
    LESS = "reveals less"
    OTHER = "touches privacy"
    FOLLOWS = "follows from the rest"
    NOTHING = "privacy as before"


MEANING = {
    Touches.MORE: "more can be learned of a customer from what leaves the device, or for longer, or from fewer reports",
    Touches.LESS: "less can be learned of a customer",
    Touches.OTHER: "something else is asked, kept or told to the customer; whether it reveals more, people must judge",
}


@dataclass(frozen=True)
class Change:
    """One difference: what it is about, the old and the new state in words, and what it means for the customer."""

    what: str
    old: str
    new: str
    touches: Touches

    def __str__(self) -> str:
        return f"{self.what}: {self.old} -> {self.new} ({self.touches})"


def differ(what: str, old: object, new: object, touches: Touches = Touches.OTHER) -> Iterator[Change]:
    """The change from `old` to `new`, if there is one."""
    if old != new:
        yield Change(what, str(old), str(new), touches)
