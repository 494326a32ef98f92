"""What a state file says of devices: their decisions, schedules and cohorts, and whether it was rolled back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from hushtally.client_sdk.state import checksum, cohorts, consent, schedule
from hushtally.client_sdk.state.consent import Consent
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey


@dataclass
class Rollbacks:
    """How often a rollback of the file was detected, and the day (ordinal) from which on surveys may be answered."""

    number: int
    day: int | None
    stored_day: int | None = None

    def write(self, connection: sqlite3.Connection) -> None:
        """Store the day if it was set."""
        if self.day != self.stored_day:
            connection.execute("UPDATE file SET rollback_day = ?", (self.day,))
            checksum.update_file(connection)
            self.stored_day = self.day


@dataclass
class Facts:
    """The state of one device at one moment.

    withdrawals: how often the device withdrew consent. rollbacks: of the file. consents: by id of the survey.
    schedules: by digest. Both include surveys that this app does not have. cohorts: the
    stored values, by name. intact: False if the facts are damaged.
    """

    device: int
    withdrawals: int
    rollbacks: Rollbacks
    consents: dict[str, Consent]
    schedules: dict[str, Schedule]
    cohorts: dict[str, str]
    intact: bool = True

    @classmethod
    def read(cls, connection: sqlite3.Connection, device: int) -> Self:
        """Read the facts of one device; within a transaction, so that they belong to one moment."""
        return cls.read_all(connection, [device])[device]

    @classmethod
    def read_all(cls, connection: sqlite3.Connection, devices: Sequence[int]) -> dict[int, Self]:
        """Read the facts of several devices; within a transaction. A device that cannot be read is not intact."""
        try:
            return cls._read_together(connection, in_list(devices))
        except (sqlite3.OperationalError, TypeError) as error:  # a damaged value, such as a string that is not UTF-8
            if hasattr(error, "sqlite_errorcode"):
                raise
            if len(devices) <= 1:
                return {device: cls(device, 0, Rollbacks(0, None), {}, {}, {}, intact=False) for device in devices}
        middle = len(devices) // 2
        return cls.read_all(connection, devices[:middle]) | cls.read_all(connection, devices[middle:])

    @classmethod
    def _read_together(cls, connection: sqlite3.Connection, numbers: str) -> dict[int, Self]:
        """Read the facts. numbers: a list of SQL."""
        found: dict[int, Self] = {}
        rollbacks = Rollbacks(0, None)  # shared by all devices
        for device, withdrawals, number, day in connection.execute(
            "SELECT device, withdrawals, rollbacks, rollback_day FROM devices, file"
            f" WHERE device IN {numbers} ORDER BY device"
        ):
            rollbacks.number, rollbacks.day, rollbacks.stored_day = number, day, day
            found[device] = cls(device, withdrawals, rollbacks, {}, {}, {})
        for decision in consent.find_all(connection, numbers):
            if decision.device in found:
                found[decision.device].consents[decision.survey] = decision
        for drawn in schedule.find_all(connection, numbers, rollbacks.number):
            if drawn.device in found:
                found[drawn.device].schedules[drawn.digest] = drawn
        for device, name, value in cohorts.find_all(connection, numbers):
            if device in found:
                found[device].cohorts[name] = value
        return found

    def agrees(self, survey: Survey, keep: bool) -> bool:
        """Return whether the device agrees to exactly this survey; with `keep`, to this or an older version.

        After a rollback the file may lack a withdrawal. Then `keep` has no effect.
        """
        found = self.consents.get(survey.id)
        if found is None or not found.granted:
            return False
        return found.digest == survey.digest or (keep and not self.rollbacks.number and found.version <= survey.version)

    def agrees_to_newer(self, survey: Survey) -> bool:
        """Return whether the device agrees to a newer version of the survey, as while an older app still runs."""
        found = self.consents.get(survey.id)
        return found is not None and bool(found.granted) and found.version > survey.version

    def agreed_on(self, survey: Survey) -> date | None:
        """Return the day of consent to any version of the survey; None without consent."""
        found = self.consents.get(survey.id)
        return date.fromisoformat(found.at[:10]) if found is not None and found.granted else None

    def withdrew(self, survey: Survey) -> bool:
        """Return whether the last decision about the survey was a withdrawal."""
        found = self.consents.get(survey.id)
        return found is not None and not found.granted

    def silence(self, survey: Survey) -> str | None:
        """Return why the survey's schedule is silent; None if it is not silent, or not drawn yet."""
        found = self.schedules.get(survey.digest)
        return None if found is None else found.silent

    def running(self, today: date) -> set[str]:
        """Return the ids of all surveys that the device may still answer."""
        return {one.survey for one in self.schedules.values() if one.silent is None and one.ends >= today.toordinal()}

    def ended(self, today: date) -> list[str]:
        """Return the digests of all surveys that have ended and are not closed yet."""
        return [digest for digest, one in self.schedules.items() if one.silent is None and one.ends < today.toordinal()]


def in_list(devices: Iterable[int]) -> str:
    """Return the numbers of devices as a list in SQL: `(1,2,3)`. SQLite limits parameters, but not such lists."""
    return f"({','.join(str(int(device)) for device in devices)})"
