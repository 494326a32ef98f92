"""Permission: which events may be recorded and for how long, given what a device's state file says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hushtally.client_sdk.opt_out import switched_off
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.vocabulary import EventVocabulary


@dataclass(frozen=True)
class Permit:
    """What may be recorded on a day: for which surveys, which events and fields.

    withdrawals: how often the device had withdrawn consent when the permit was issued.
    """

    surveys: Sequence[Survey]
    named: EventVocabulary
    day: date
    withdrawals: int


NOTHING = Permit((), EventVocabulary.of(()), date.min, 0)


class Permission:
    """The rules of consent for one device and the surveys of the app.

    withdrawing: a withdrawal is not written yet. damaged: the file does not hold what was last written for the device.
    """

    def __init__(self, surveys: Sequence[Survey], keep: bool, clock: Callable[[], datetime]) -> None:
        """keep: consent outlives a new version of a survey."""
        self._surveys = surveys
        self._keep = keep
        self._clock = clock
        self.withdrawing = False
        self.damaged = False

    def today(self) -> date:
        """The day by the device's clock."""
        return self._clock().date()

    def stopped(self) -> str | None:
        """Why nothing may be recorded, answered or sent, whatever the customer agreed to; None if it may."""
        return switched_off() or (str(Silence.DAMAGED) if self.damaged else None)

    def permit(self, facts: Facts, today: date) -> Permit:
        """What may be recorded on this day."""
        surveys = [] if self.withdrawing or self.stopped() else self._agreed(facts, today)
        return Permit(surveys, EventVocabulary.of(surveys), today, facts.withdrawals)

    def covers(self, facts: Facts, survey: Survey) -> bool:
        """Whether the customer agrees to the survey."""
        return facts.agrees(survey, self._keep) and not self.withdrawing

    def days_needed(self, facts: Facts, today: date) -> Callable[[str], int]:
        """Return a function: for how many days, today included, events of a name may be needed; 0 for none.

        Events for an older version of a survey that was agreed to are needed when the new version is agreed to. The
        questions of the device's other clients are not known here. While such a survey runs, every event is needed
        for as long as it was recorded for.
        """
        others = facts.running(today) & {id for id, consent in facts.consents.items() if consent.granted}
        if others - {survey.id for survey in self._surveys}:
            return lambda event: today.toordinal()
        agreed = EventVocabulary.of(self._agreed(facts, today))
        pending = EventVocabulary.of(self._running(facts, today))
        return lambda event: agreed.days(event) or pending.days(event)

    def rolled_back(self, facts: Facts, today: date) -> bool:
        """Whether a survey that runs and is agreed to, in whatever version, is silent because the file is a copy."""
        return any(
            facts.silence(survey) == Silence.ROLLED_BACK for survey in self._surveys if _runs(facts, survey, today)
        )

    def _agreed(self, facts: Facts, today: date) -> list[Survey]:
        """The surveys that may still be answered and are agreed to."""
        return [survey for survey in self._running(facts, today) if facts.agrees(survey, self._keep)]

    def _running(self, facts: Facts, today: date) -> list[Survey]:
        """The surveys that may still be answered and are agreed to in whatever version."""
        return [survey for survey in self._surveys if _runs(facts, survey, today) and facts.silence(survey) is None]


def _runs(facts: Facts, survey: Survey, today: date) -> bool:
    return today <= survey.ends and facts.agreed_on(survey) is not None
