"""What a state file says of one device, read once: consents, schedules and whether a rollback was noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from hushtally.client_sdk.state import consent, schedule
from hushtally.client_sdk.state.consent import Consent
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class Facts:
    """The state of one device at one moment.

    withdrawals: how often the device withdrew. rolled_back: whether the file was ever found to be an older copy.
    consents: by id of the survey. schedules: by digest, also of surveys that this app does not have.
    """

    withdrawals: int
    rolled_back: bool
    consents: Mapping[str, Consent]
    schedules: Mapping[str, Schedule]

    @classmethod
    def read(cls, connection: sqlite3.Connection, device: int) -> Facts:
        """Read the facts; within a transaction, so that they belong to one moment."""
        withdrawals, rollbacks = connection.execute(
            "SELECT withdrawals, doubts FROM devices, file WHERE device = ?", (device,)
        ).fetchone()
        return cls(
            withdrawals, bool(rollbacks), consent.find_all(connection, device), schedule.find_all(connection, device)
        )

    def agrees(self, survey: Survey, keep: bool) -> bool:
        """Whether the device agrees to exactly this survey; with `keep`, to this or an older version.

        A file that is an older copy may lack a withdrawal, so consent in it does not outlive a version.
        """
        found = self.consents.get(survey.id)
        if found is None or not found.granted:
            return False
        return found.digest == survey.digest or (keep and not self.rolled_back and found.version <= survey.version)

    def agrees_to_newer(self, survey: Survey) -> bool:
        """Whether the device agrees to a newer version of the survey, as while an older app is still running."""
        found = self.consents.get(survey.id)
        return found is not None and found.granted and found.version > survey.version

    def agreed_on(self, survey: Survey) -> date | None:
        """The day of consent to the survey, in whatever version; None without consent."""
        found = self.consents.get(survey.id)
        return date.fromisoformat(found.at[:10]) if found is not None and found.granted else None

    def withdrew(self, survey: Survey) -> bool:
        """Whether the device withdrew consent to the survey, or refused it."""
        found = self.consents.get(survey.id)
        return found is not None and not found.granted

    def silence(self, survey: Survey) -> str | None:
        """Why the schedule of the survey is silent; None while it is not, or before it is drawn."""
        plan = self.schedules.get(survey.digest)
        return None if plan is None else plan.silent

    def running(self, today: date) -> set[str]:
        """The ids of the surveys that the device may still answer, also those that this app does not have."""
        return {
            plan.survey for plan in self.schedules.values() if plan.silent is None and plan.ends >= today.toordinal()
        }

    def ended(self, today: date) -> list[str]:
        """The digests of the surveys that have ended and are not closed yet, also those the app no longer has."""
        return [
            digest for digest, plan in self.schedules.items() if plan.silent is None and plan.ends < today.toordinal()
        ]
