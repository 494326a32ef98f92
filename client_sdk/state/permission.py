"""What the customer permits: which events may be recorded and are kept, as one device's file says it now."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hushtally.client_sdk.opt_out import switched_off
from hushtally.client_sdk.state import consent, rollback, schedule
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.vocabulary import EventVocabulary


@dataclass(frozen=True)
class Permit:
    """What may be recorded, for which surveys, as looked up on a day, when the device had withdrawn so many times."""

    surveys: Sequence[Survey]
    named: EventVocabulary
    day: date
    withdrawals: int


NOTHING = Permit((), EventVocabulary.of(()), date.min, 0)


class Permission:
    """To what the customer of one device agrees, of the surveys that the app has."""

    def __init__(self, device: int, surveys: Sequence[Survey], keep: bool, clock: Callable[[], datetime]) -> None:
        """keep: consent outlives a new version of a survey."""
        self._device = device
        self._surveys = surveys
        self._keep = keep
        self._clock = clock
        self.withdrawing = False  # a withdrawal is not written yet
        self.damaged = False  # the file does not hold what was last written of this device
        self.replaced = False  # there is a survey that would be answered, were the file known to be the last one

    def today(self) -> date:
        """The day by the device's clock."""
        return self._clock().date()

    def stopped(self) -> str | None:
        """Why nothing may be recorded, answered or sent here, whatever the customer agreed to; None while it may."""
        return switched_off() or (str(Silence.DAMAGED) if self.damaged else None)

    def permit(self, connection: sqlite3.Connection) -> Permit:
        """What may be recorded now."""
        # looked up before the consents: what is recorded under one that was given in between will not be kept
        today, withdrawals = self.today(), consent.withdrawals(connection, self._device)
        surveys = [] if self.withdrawing or self.stopped() else self._agreed(connection)[0]
        return Permit(surveys, EventVocabulary.of(surveys), today, withdrawals)

    def covers(self, connection: sqlite3.Connection, survey: Survey) -> bool:
        """Whether the customer agrees to the survey."""
        return consent.granted(connection, self._device, survey, self._keeps(connection)) and not self.withdrawing

    def longest(self, connection: sqlite3.Connection) -> Callable[[str], int]:
        """For how many days, today included, events of a name may be of use; 0 where nobody needs them.

        Those of a survey whose older version was agreed to are there when the new one is. What another client of this
        device asks is not known here: as long as that may be answered, all are of use for as long as was told.
        """
        today = self.today()
        others = schedule.running(connection, self._device, today) & consent.standing(connection, self._device).keys()
        if others - {survey.id for survey in self._surveys}:
            return lambda event: today.toordinal()
        agreed, known = map(EventVocabulary.of, self._agreed(connection))
        return lambda event: agreed.days(event) or known.days(event)

    def _agreed(self, connection: sqlite3.Connection) -> tuple[list[Survey], list[Survey]]:
        """The surveys that may yet be answered: those that are agreed to, and those that are in whatever version."""
        today, silent = self.today(), schedule.silent(connection, self._device)
        standing = consent.standing(connection, self._device)
        running = [survey for survey in self._surveys if today <= survey.ends and survey.id in standing]
        self.replaced = any(silent.get(survey.digest) == Silence.ROLLED_BACK for survey in running)
        known = [survey for survey in running if survey.digest not in silent]
        keep = self._keeps(connection)
        return [survey for survey in known if consent.covers(standing, survey, keep)], known

    def _keeps(self, connection: sqlite3.Connection) -> bool:
        """Whether consent outlives a version: not in a file that was put back, which may lack a withdrawal."""
        return self._keep and not rollback.doubted(connection)
