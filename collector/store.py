"""The store: counts of symbols by cell, and the ids of the batches that were counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import Admission


class StoreError(HushtallyError):
    """The database cannot be used or no longer exists, or an operation failed and changed nothing."""


def describe_failure(error: Exception) -> str:
    """Return a line for the log: the message of a StoreError, or only the type of any other error.

    The message of another error might quote a report.
    """
    return str(error) if isinstance(error, StoreError) else type(error).__name__


class Counted(NamedTuple):
    """The response to a batch. new: whether the batch was counted by this call, not before."""

    response: str
    new: bool


@dataclass(frozen=True)
class Erasure:
    """The result of a purge for one survey.

    survey: the name of the survey. epochs: the epochs whose counts were erased, ascending. due: the day of the next
    erasure; None if no counts are left. problem: why the counts of the survey could not be erased; None after a
    success.
    """

    survey: str
    epochs: tuple[str, ...] = ()
    due: date | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """Return one line for the log that documents the erasure."""
        if self.problem is not None:
            return self.problem
        after = "nothing is left" if self.due is None else f"the next erasure is due on {self.due}"
        if not self.epochs:
            return f"{self.survey}: nothing to erase; {after}"
        first, last = self.epochs[0], self.epochs[-1]
        which = first if first == last else f"{len(self.epochs)} epochs, {first} to {last}"
        return f"{self.survey}: erased the counts of {which}; {after}"


class Store(Protocol):
    """Stores counts. It cannot store the sender of a report, its batch, or the time or order of arrival."""

    def register(self, surveys: Sequence[Survey]) -> None:
        """Store all surveys or none.

        Raises StoreError, with the differences, if the store contains one of the surveys with another digest.
        """

    def surveys(self) -> list[Survey]:
        """Return every registered survey whose definition can be read, ordered by id and version."""

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        """Count all new batches durably, or none, and return the response to every batch.

        A batch that was counted before, or that is earlier in the list, is not counted again: it gets its first
        response. An empty list tests whether a batch could be counted now. Raises StoreError if nothing was counted, or
        if the database no longer exists and its counts are lost.
        """

    def purge(self, today: date) -> list[Erasure]:
        """Erase the counts whose retention has ended, and the ids of batches that can no longer be accepted.

        Returns the result for every survey that was ever registered or counted, ordered by id and version. If one
        survey cannot be purged, the other surveys are still purged. Raises StoreError if the store cannot be used.
        """

    def checkpoint(self) -> bool:
        """Remove the order of arrival and copies of erased counts from the disk.

        Call this every few seconds. The store may postpone work that is not yet worth its cost. Returns False, and does
        nothing, if another program is reading. Raises StoreError, with the reason, if the checkpoint fails.
        """

    def close(self) -> None:
        """Close the database. Raises StoreError after closing if the counts are no longer in the database."""
