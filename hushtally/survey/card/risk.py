"""The risks of a survey: the size of each risk, what limits it, and where its rating comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief
from hushtally.client_sdk.explain.disclosure import device_groups, reveals_changes
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.survey.card.context import Context
from hushtally.survey.card.field import Device
from hushtally.survey.card.place import storage
from hushtally.survey.card.rating import Level, Rating, disclosure_formula, disclosure_likelihood


@dataclass(frozen=True)
class Computed:
    """The likelihoods before and after the measures that follow from the survey, and how."""

    before: Level
    after: Level
    source: str


@dataclass(frozen=True)
class Risk:
    """One risk in words: what can happen, its size, and what limits it. computed: None if people rate the risk."""

    id: str
    risk: str
    size: str
    measures: str
    computed: Computed | None = None


@dataclass(frozen=True)
class RatedRisk:
    """A risk with its ratings before and after the measures, None while a question is open."""

    risk: Risk
    before: Rating | None
    after: Rating | None
    source: str


def rated_risks(survey: Survey, context: Context) -> list[RatedRisk]:
    """Every risk of the card with its ratings: those that hushtally describes, then those that people added."""
    own = [
        RatedRisk(
            Risk(f"other_risks[{index}]", rated.risk, "", rated.measures), rated.before, rated.after, rated.reason
        )
        for index, rated in enumerate(context.other_risks)
    ]
    return [*(_rated(risk, context) for risk in risks(survey, context)), *own]


def rated_by_people(survey: Survey) -> list[Risk]:
    """The risks whose likelihood does not follow from the survey: the context file rates them."""
    return [risk for risk in risks(survey, Context()) if risk.computed is None]


def risks(survey: Survey, context: Context) -> list[Risk]:
    """All risks of the survey that hushtally can describe."""
    return [*_learning(survey, context), *_linking(survey), *_others(survey, context)]


def describe_lifetime_epsilon(survey: Survey) -> str:
    """The lifetime epsilon, and what it does not bound."""
    scope = " for what was answered; whether and when an answer changed is not bounded"
    return f"epsilon {survey.lifetime_epsilon:g}{scope if reveals_changes(survey) else ''}"


def _rated(risk: Risk, context: Context) -> RatedRisk:
    if risk.computed is None:
        rated = context.ratings.get(risk.id)
        if rated is None:
            source = f"NOT ANSWERED: rate this risk in [card.risks.{risk.id}]"
            return RatedRisk(risk, None, None, source)
        return RatedRisk(risk, rated.before, rated.after, f"Rated by people: {rated.reason}")
    computed, word = risk.computed, context.answers.get("severity")
    if not isinstance(word, str):
        return RatedRisk(risk, None, None, computed.source)
    severity = Level.named(word)
    return RatedRisk(risk, Rating(computed.before, severity), Rating(computed.after, severity), computed.source)


def _learning(survey: Survey, context: Context) -> list[Risk]:
    """The risks from reports that are known to come from one device or person."""
    lifetime, delivery = survey.lifetime_epsilon, survey.delivery_epsilon
    return [
        Risk(
            "disclosure",
            "An observer collects all reports of one device, for example after a break-in at the collector, and learns"
            " an answer",
            _belief(lifetime),
            f"{describe_lifetime_epsilon(survey)}; the device enforces it",
            _bounded(lifetime),
        ),
        Risk(
            "delivery",
            f"An observer sees one delivery: {counted(survey.privacy.questions_per_device, 'report')}",
            _belief(delivery),
            f"epsilon {delivery:g} for one delivery",
            _bounded(delivery),
        ),
        Risk(
            "later_surveys",
            "Later versions or other surveys ask the same device",
            f"each adds its own lifetime epsilon{_ceiling(context)}",
            "the app's max_lifetime_epsilon, if set: the device enforces it for all surveys together",
        ),
        Risk(
            "several_devices",
            "One person has several devices, or installs the app again",
            f"each adds epsilon {lifetime:g}; from two devices, {_belief(2 * lifetime)}",
            "no report names a person or a device; nothing bounds the sum",
        ),
    ]


def _bounded(epsilon: float) -> Computed:
    """Without randomization an observer reads the answer; with it, the bound on belief decides."""
    return Computed(Level.MAXIMUM, disclosure_likelihood(epsilon), f"Computed: {disclosure_formula(epsilon)}")


def _ceiling(context: Context) -> str:
    return "" if context.ceiling is None else f"; with epsilon {context.ceiling:g}, {_belief(context.ceiling)}"


def _linking(survey: Survey) -> list[Risk]:
    """The risks that someone links the reports of a device or detects that a device takes part."""
    groups = device_groups(survey)
    nobody = Computed(Level.NEGLIGIBLE, Level.NEGLIGIBLE, "Computed: nothing about a customer is sent unrandomized")
    found = [
        Risk(
            "linking",
            "An observer sees which reports come from the same device",
            f"{groups:,} groups of devices, distinguished by what does not change: questions, phase and cohorts"
            if groups > 1
            else "one group: questions, phase and cohorts are the same for all devices",
            "questions and phase are drawn without regard to the customer; in a group of few devices, such as a rare"
            " cohort, all reports of one device can be recognised",
        ),
        Risk(
            "cohorts",
            "Cohorts, which are sent unrandomized, identify a customer",
            counted(len(survey.all_cohorts()), "combination") if survey.cohorts else "none: the survey has no cohorts",
            "the survey declares them; the app sets them, never from recorded data",
            None if survey.cohorts else nobody,
        ),
        Risk(
            "participation",
            "The network shows that a device takes part, and how long its requests are",
            "every device that agreed; the length depends on question, cohort and the digits of the symbol",
            "the number and schedule of requests are random and do not depend on recorded data, except that a request"
            " that is due waits until the app runs. TLS does not hide the length: it can show question and cohort if"
            " their names differ in length",
        ),
    ]
    if reveals_changes(survey):
        changes = Risk(
            "changes",
            "An observer who can link a device's reports sees whether and when its answer changed",
            f"not bounded by epsilon; at most {counted(survey.charges - 1, 'new answer')} can follow the first",
            "the collector stores no address and no time; fresh memory does not have this risk",
        )
        found.insert(0, changes)
    return found


def _others(survey: Survey, context: Context) -> list[Risk]:
    """The risks of access to a device, of forged or lost data, and of another use."""
    worst = max(survey.asked, key=_forgery)
    return [
        Risk(
            "device_access",
            f"Someone gets access to {storage(context.device)} and reads the recorded events",
            _EVENTS[context.device],
            "the protection of the state file by the app and the operating system; events are deleted when the survey"
            f" no longer looks back that far (after at most {counted(survey.longest_window, 'day')})",
        ),
        Risk(
            "modification",
            "Forged reports shift a result",
            f"{_forgery(worst):.1f} points for each percent of forged reports ({worst.id})",
            "the number of honest devices; the checks of the collector",
        ),
        Risk(
            "loss",
            "Counts or a state file are lost",
            "estimates become less accurate or are missing; people lose nothing that they need",
            "an acknowledged batch is on the collector's disk; a device without its state starts again with a new"
            " ledger",
        ),
        Risk(
            "other_use",
            "Results or recorded events are used for another purpose",
            f"results are about groups of at least {counted(survey.min_reports, 'report')}; events are about single"
            " customers",
            "consent is bound to the digest of the survey; see also the answer about use for other purposes",
        ),
    ]


_EVENTS = {
    None: "it stores the recorded events: of one customer, or of all customers of a web shop or kiosk",
    Device.CUSTOMER: "the recorded events of one customer",
    Device.KIOSK: "the recorded events of all customers of the kiosk, in plain form",
    Device.OPERATOR: "the recorded events of all customers, in plain form",
}


def residual_high(rated: Sequence[RatedRisk]) -> list[RatedRisk]:
    """The risks that are still high after the measures."""
    return [one for one in rated if one.after and one.after.high]


def _belief(epsilon: float) -> str:
    return f"an observer who was {PRIOR:.0%} sure of a segment is {describe_belief(belief_bound(PRIOR, epsilon))}"


def _forgery(question: Question) -> float:
    """The largest shift of an estimate, as a multiple of the share of reports that are forged."""
    channel = question.mechanism.channel
    return float(max(1 - channel.q, channel.q) / channel.gain)
