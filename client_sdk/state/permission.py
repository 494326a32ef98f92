"""Permission: which events may be recorded and how long they are stored, given the facts in the state file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hushtally.client_sdk.state.cohorts import in_force
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.opt_out import opt_out_reason
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.vocabulary import EventVocabulary


@dataclass(frozen=True)
class Permit:
    """What may be recorded of a device on one day.

    surveys: those that the events are for. vocabulary: the events and fields that these surveys use. cohorts: the
    values that the app gave for these surveys. withdrawals: how often the device had withdrawn consent when the permit
    was issued.
    """

    device: int
    surveys: Sequence[Survey]
    vocabulary: EventVocabulary
    cohorts: Mapping[str, str]
    day: date
    withdrawals: int


NO_PERMIT = Permit(0, (), EventVocabulary.of(()), {}, date.min, 0)


class Permission:
    """The rules of consent for the surveys of the app.

    cohorts: the values that the app gave for every device, by name. withdrawing: the devices whose withdrawal is not in
    the file yet. damaged: the devices whose rows do not match their checksum.
    """

    def __init__(
        self,
        surveys: Sequence[Survey],
        cohorts: Mapping[str, str],
        keep_consent: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._surveys = surveys
        self._cohorts = cohorts
        self._keep_consent = keep_consent
        self._clock = clock
        self.withdrawing: set[int] = set()
        self.damaged: set[int] = set()

    def today(self) -> date:
        """Return the day by the device's clock."""
        return self._clock().date()

    def stopped(self, device: int) -> str | None:
        """Return why nothing may be recorded, answered or sent, whatever the customer agreed to; None if it may."""
        return opt_out_reason() or (str(Silence.DAMAGED) if device in self.damaged else None)

    def permit(self, facts: Facts, today: date, given: Mapping[str, str] | None = None) -> Permit:
        """Return what may be recorded on this day. given: the cohorts that the app gave for this device alone."""
        surveys = [] if facts.device in self.withdrawing or self.stopped(facts.device) else self._agreed(facts, today)
        cohorts = self.cohorts(surveys, given)
        return Permit(facts.device, surveys, EventVocabulary.of(surveys), cohorts, today, facts.withdrawals)

    def cohorts(self, surveys: Iterable[Survey], given: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the values that the app gave for the cohorts of these surveys."""
        declared = {name for survey in surveys for name in survey.cohorts}
        values = self._cohorts if given is None else given
        return {name: value for name, value in values.items() if name in declared}

    def covers(self, facts: Facts, survey: Survey) -> bool:
        """Return whether the customer agrees to the survey."""
        return facts.agrees(survey, self._keep_consent) and facts.device not in self.withdrawing

    def cohort(self, facts: Facts, survey: Survey) -> dict[str, str] | None:
        """Return the cohort that the device reports; None if neither the file nor the app has it."""
        return in_force(survey, facts.cohorts, self.cohorts([survey]))

    def days_needed(self, facts: Facts, today: date) -> Callable[[str], int]:
        """Return a function from an event's name to the days, today included, for which it is needed; 0 for none.

        If the customer agreed to an older version of a survey, its events are also needed by the new version, because
        the customer may agree to that later. This client does not know which events the device's other clients need.
        While a survey of another client runs, every event is stored until its own day of deletion.
        """
        others = facts.running(today) & {id for id, consent in facts.consents.items() if consent.granted}
        if others - {survey.id for survey in self._surveys}:
            return lambda event: today.toordinal()
        agreed = EventVocabulary.of(self._agreed(facts, today))
        running = EventVocabulary.of(self._running(facts, today))
        return lambda event: agreed.days(event) or running.days(event)

    def rolled_back(self, facts: Facts, today: date) -> bool:
        """Return whether a rollback is the only reason why one of the surveys is silent."""
        return any(
            facts.silence(survey) == Silence.ROLLED_BACK for survey in self._surveys if _runs(facts, survey, today)
        )

    def _agreed(self, facts: Facts, today: date) -> list[Survey]:
        """The surveys that may still be answered, and that the customer agrees to."""
        return [survey for survey in self._running(facts, today) if facts.agrees(survey, self._keep_consent)]

    def _running(self, facts: Facts, today: date) -> list[Survey]:
        """The surveys that may still be answered, and that the customer agrees to in some version."""
        return [survey for survey in self._surveys if _runs(facts, survey, today) and facts.silence(survey) is None]


def _runs(facts: Facts, survey: Survey, today: date) -> bool:
    return today <= survey.ends and facts.agreed_on(survey) is not None
