"""The store: a multiset of symbols by cell, and the batches that must not count twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Protocol

from client_sdk.errors import HushtallyError
from client_sdk.survey import Survey
from collector.admission import Admission
from collector.cell import Cell


class StoreError(HushtallyError):
    """The database cannot be used, refused what was asked of it and is unchanged, or is gone."""


class Store(Protocol):
    """Where counts are kept. It has no place for who sent a report, when, in what order or in which batch."""

    def register(self, surveys: Sequence[Survey]) -> None:
        """Keeps the surveys, all or none; StoreError if one is there with another digest, with what differs."""

    def surveys(self) -> list[Survey]:
        """Every survey that was ever registered, by id and version."""

    def add(self, admissions: Sequence[Admission]) -> list[str]:
        """Counts the batches that did not come before, durably and all or none; the answer to each.

        A batch that came before, here or earlier in the list, is not counted again: its answer is the first one.
        Raises StoreError when nothing was counted, or the database that it was counted into is gone.
        """

    def tallies(self) -> Iterator[tuple[Cell, Counter[int]]]:
        """Every cell with its count of each symbol."""

    def purge(self, today: date) -> None:
        """Erases the counts whose retention is over, and the ids of batches that could no longer be accepted."""

    def settle(self) -> None:
        """Erases the traces of single transactions, as far as nobody is reading; a log tells what came when."""

    def close(self) -> None:
        """Lets go of the database; StoreError, having let go, when what was counted is no longer in it."""
