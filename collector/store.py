"""The store: counts of symbols by cell, and the batches that must be counted exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import Admission


class StoreError(HushtallyError):
    """The database cannot be used or is gone, or an operation failed and changed nothing."""


def describe_failure(error: Exception) -> str:
    """A line for the log: the message of a StoreError, of any other error only its type.

    The message of an unexpected error might quote a report.
    """
    return str(error) if isinstance(error, StoreError) else type(error).__name__


class Counted(NamedTuple):
    """The response to a batch, and whether the batch is new, so that its reports were counted now."""

    response: str
    new: bool


@dataclass(frozen=True)
class Erasure:
    """What a purge did to the counts of one survey.

    survey: the name of the survey; epochs: the epochs whose counts were erased, ascending; due: the day of the next
    erasure, None if no counts are left; problem: why no counts of the survey could be erased, None after a success.
    """

    survey: str
    epochs: tuple[str, ...] = ()
    due: date | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """One line that documents the erasure."""
        if self.problem is not None:
            return self.problem
        after = "nothing is left" if self.due is None else f"the next erasure is due on {self.due}"
        if not self.epochs:
            return f"{self.survey}: nothing to erase; {after}"
        first, last = self.epochs[0], self.epochs[-1]
        which = first if first == last else f"{len(self.epochs)} epochs, {first} to {last}"
        return f"{self.survey}: erased the counts of {which}; {after}"


class Store(Protocol):
    """Stores counts. It has no place for the sender of a report, the time, the order of arrival or the batch."""

    def register(self, surveys: Sequence[Survey]) -> None:
        """Stores all of the surveys or none.

        Raises StoreError, with the differences, if the store has one of the surveys with another digest.
        """

    def surveys(self) -> list[Survey]:
        """Every registered survey whose definition can still be read, by id and version."""

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        """Counts the new batches durably, all or none, and returns the outcome of every batch.

        A batch that was counted before, or that is earlier in the list, is not counted again: it gets its first
        response. An empty list tests whether a batch could be counted now. Raises StoreError if nothing was counted, or
        if the database is gone with the counts.
        """

    def purge(self, today: date) -> list[Erasure]:
        """Erases the counts whose retention has ended, and the ids of batches that can no longer be accepted.

        Returns the outcome for every survey that was ever registered or counted, by id and version. A survey that
        cannot be purged does not prevent the others. Raises StoreError if the store cannot be used.
        """

    def checkpoint(self) -> bool:
        """Removes from the disk in which order batches arrived, and copies of erased counts.

        Call it every few seconds; the store may postpone work that is not yet worth its cost. Returns False if another
        program is reading, and then nothing was done. Raises StoreError, with what is left, if it fails.
        """

    def close(self) -> None:
        """Closes the database; after closing, raises StoreError if the counts are no longer in the database."""
