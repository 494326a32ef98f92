"""Cells: what answers are counted under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from hushtally.client_sdk.canonical_json import canonical_json


@dataclass(frozen=True)
class Cell:
    """One question of one survey, in one epoch and one cohort; `cohort` is canonical JSON, like {"platform":"web"}."""

    survey: str
    version: int
    question: str
    cohort: str
    epoch: str

    @cached_property
    def key(self) -> int:
        """The integer that stands for the cell in a store, 0 <= key < 2^62.

        It depends on nothing but the cell, so that stores with equal counts are equal whatever came first.
        """
        text = canonical_json([self.survey, self.version, self.question, self.cohort, self.epoch])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
