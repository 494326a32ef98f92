"""What a state file says of one device, read once: decisions, schedules, cohorts, and whether it was rolled back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from hushtally.client_sdk.state import cohorts, consent, schedule
from hushtally.client_sdk.state.consent import Consent
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class Facts:
    """The state of one device at one moment.

    withdrawals: how often the device withdrew consent. rolled_back: whether a rollback of the file was ever detected.
    consents: by id of the survey. schedules: by digest. Both include surveys that this app does not have. cohorts: the
    stored values, by name.
    """

    withdrawals: int
    rolled_back: bool
    consents: Mapping[str, Consent]
    schedules: Mapping[str, Schedule]
    cohorts: Mapping[str, str]

    @classmethod
    def read(cls, connection: sqlite3.Connection, device: int) -> Facts:
        """Read the facts; within a transaction, so that they belong to one moment."""
        withdrawals, rollbacks = connection.execute(
            "SELECT withdrawals, rollbacks FROM devices, file WHERE device = ?", (device,)
        ).fetchone()
        return cls(
            withdrawals,
            bool(rollbacks),
            consent.find_all(connection, device),
            schedule.find_all(connection, device),
            cohorts.find(connection, device),
        )

    def agrees(self, survey: Survey, keep: bool) -> bool:
        """Return whether the device agrees to exactly this survey; with `keep`, to this or an older version.

        After a rollback the file may lack a withdrawal. Then `keep` has no effect.
        """
        found = self.consents.get(survey.id)
        if found is None or not found.granted:
            return False
        return found.digest == survey.digest or (keep and not self.rolled_back and found.version <= survey.version)

    def agrees_to_newer(self, survey: Survey) -> bool:
        """Return whether the device agrees to a newer version of the survey, as while an older app still runs."""
        found = self.consents.get(survey.id)
        return found is not None and found.granted and found.version > survey.version

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
