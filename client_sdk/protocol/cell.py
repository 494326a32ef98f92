"""Cells: the collector counts reports by cell, and the aggregator tallies them by cell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hushtally.client_sdk.canonical_json import canonical_json


@dataclass(frozen=True)
class Cell:
    """One question of one version of a survey, in one cohort and one epoch.

    cohort: one value for every declared cohort, as canonical JSON like {"platform":"web"}.
    """

    survey: str
    version: int
    question: str
    cohort: str
    epoch: str

    @classmethod
    def of(cls, survey: str, version: int, question: str, cohort: Mapping[str, str], epoch: str) -> Cell:
        """The cell of a cohort that is given as a mapping; TypeError if the cohort is not a mapping."""
        return cls(survey, version, question, canonical_json({**cohort}), epoch)

    @cached_property
    def cohort_values(self) -> Mapping[str, str]:
        """The cohort as a mapping, like {"platform": "web"}."""
        values: Mapping[str, str] = json.loads(self.cohort)
        return values

    @cached_property
    def key(self) -> int:
        """The integer that stands for the cell in a store, 0 <= key < 2^62.

        The key depends on the cell alone. Stores with equal counts are therefore equal, whatever arrived first.
        """
        text = canonical_json([self.survey, self.version, self.question, self.cohort, self.epoch])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
