"""The table of schedules: which questions a device answers and when. Drawn once, independently of recorded data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey


class Schedule(NamedTuple):
    """The schedule of one device for one version of a survey: a row of the table, and whether a rollback silenced it.

    The device answers in every epoch whose number, divided by `answers_every`, leaves the remainder `phase`.

    survey: the id of the survey. ends: the last day of the survey, as an ordinal. drawn: the ids of the device's
    questions, as JSON. handled: the first day, as an ordinal, of the latest epoch that a tick handled, with or without
    an answer. reserved: the epsilon that is reserved for the survey; 0 while that epsilon does not fit under the app's
    ceiling. rollbacks: the rollbacks before it was drawn. stated: the reason in the file why the device does not
    answer; None while it answers. rolled_back: whether a rollback was detected since.
    """

    device: int
    digest: str
    survey: str
    permanent: int
    ends: int
    drawn: str
    phase: int
    handled: int
    reserved: float
    rollbacks: int
    stated: str | None
    version: int
    rolled_back: bool = False

    @property
    def row(self) -> tuple[object, ...]:
        """The row of the table."""
        return self[:-1]

    @property
    def silent(self) -> str | None:
        """Why the device does not answer; None while it answers."""
        return Silence.ROLLED_BACK if self.stated is None and self.rolled_back else self.stated

    @property
    def questions(self) -> tuple[str, ...]:
        """The ids of the device's questions."""
        return tuple(json.loads(self.drawn))

    def answers_in(self, survey: Survey, day: date) -> bool:
        """Return whether the device answers in the epoch of this day."""
        steps = survey.epoch.steps(survey.starts, day)
        return survey.runs(day) and steps % survey.privacy.answers_every == self.phase

    def next_answer(self, survey: Survey, day: date) -> str | None:
        """Return the first epoch, from this day on, in which the device will answer; None if there is none."""
        if self.silent or not self.reserved:
            return None
        day = max(day, survey.starts)
        while survey.runs(day):
            if self.answers_in(survey, day) and survey.epoch.start(day).toordinal() > self.handled:
                return survey.epoch.label(day)
            day = survey.epoch.next(day)
        return None


def find_all(connection: sqlite3.Connection, devices: str, rollbacks: int) -> Iterator[Schedule]:
    """Return the schedules of these devices, including the schedules of surveys that this app does not have.

    devices: a list of SQL; see `facts.in_list`. rollbacks: how many were detected by now.
    """
    for row in connection.execute(f"SELECT * FROM schedules WHERE device IN {devices} ORDER BY device, digest"):
        schedule = Schedule(*row)
        yield schedule._replace(rolled_back=True) if rollbacks and schedule.rollbacks < rollbacks else schedule
