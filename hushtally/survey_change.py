"""One change between two surveys, and what it means for the customer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Touches(StrEnum):
    """What a change means for the customer."""

    MORE = "reveals more"
    LESS = "reveals less"
    OTHER = "touches privacy"
    FOLLOWS = "follows from the rest"
    NOTHING = "privacy as before"


@dataclass(frozen=True)
class Change:
    """One difference: what it is about, the old and the new state in words, and what it means for the customer."""

    what: str
    old: str
    new: str
    touches: Touches

    def __str__(self) -> str:
        return f"{self.what}: {self.old} -> {self.new} ({self.touches})"
