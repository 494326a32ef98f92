"""The store: a multiset of symbols by cell, and the batches that must not count twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import Admission


class StoreError(HushtallyError):
    """The database cannot be used, refused what was asked of it and is unchanged, or is gone."""


class Counted(NamedTuple):
    """The answer to a batch, and whether it came for the first time, so that its reports were counted now."""

    answer: str
    first: bool


def describe_failure(error: Exception) -> str:
    """A line for the log: the message of a StoreError, of any other error only its type.

    The message of an unexpected error might quote a report.
    """
    return str(error) if isinstance(error, StoreError) else type(error).__name__


@dataclass(frozen=True)
class Erasure:
    """What a purge did to the counts of one survey.

    survey: its name; epochs: those whose counts were erased, ascending; due: the day on which the next ones are, None
    when no counts are left; problem: why nothing of it could be erased, None if that went well.
    """

    survey: str
    epochs: tuple[str, ...] = ()
    due: date | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """What was done in one line, for whoever must show that it was."""
        if self.problem is not None:
            return self.problem
        after = "nothing is kept" if self.due is None else f"the next counts are due on {self.due}"
        if not self.epochs:
            return f"{self.survey}: nothing to erase; {after}"
        first, last = self.epochs[0], self.epochs[-1]
        which = first if first == last else f"{len(self.epochs)} epochs, {first} to {last}"
        return f"{self.survey}: erased the counts of {which}; {after}"


class Store(Protocol):
    """Where counts are kept. It has no place for who sent a report, when, in what order or in which batch."""

    def register(self, surveys: Sequence[Survey]) -> None:
        """Keeps the surveys, all or none; StoreError if one is there with another digest, with what differs."""

    def surveys(self) -> list[Survey]:
        """Every survey that was ever registered and can still be read, by id and version."""

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        """Counts the batches that did not come before, durably and all or none; what became of each.

        A batch that came before, here or earlier in the list, is not counted again: its answer is the first one.
        Without any it is a trial: whether a batch would be counted now.
        Raises StoreError when nothing was counted, or the database that it was counted into is gone.
        """

    def purge(self, today: date) -> list[Erasure]:
        """Erases the counts whose retention is over, and the ids of batches that could no longer be accepted.

        What became of every survey that was ever registered or counted, by id and version; one that cannot be purged
        does not keep the others. Raises StoreError when the store cannot be used.
        """

    def settle(self) -> bool:
        """Erases the traces of single transactions and of what was erased: in what order it came, and what it was.

        It is called every few seconds, as it may leave for later what is not worth its while yet. False while somebody
        is reading: it did nothing. StoreError, with what is left, when it cannot.
        """

    def close(self) -> None:
        """Lets go of the database; StoreError, having let go, when what was counted is no longer in it."""
