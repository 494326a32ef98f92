"""The risks of a survey: the size of each risk, and what limits it."""

from __future__ import annotations

from typing import NamedTuple

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief
from hushtally.client_sdk.explain.disclosure import device_groups, reveals_changes
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


class Risk(NamedTuple):
    """One risk in words: what can happen, the size of the risk, and what limits it."""

    risk: str
    size: str
    limit: str


def risks(survey: Survey) -> list[Risk]:
    """All risks of the survey that hushtally can derive from its fields."""
    return [*_learning(survey), *_linking(survey), *_others(survey)]


def describe_lifetime_epsilon(survey: Survey) -> str:
    """The lifetime epsilon, and what it does not bound."""
    scope = " for what was answered; whether and when an answer changed is not bounded"
    return f"epsilon {survey.lifetime_epsilon:g}{scope if reveals_changes(survey) else ''}"


def _learning(survey: Survey) -> list[Risk]:
    """The risks from reports that are known to come from one device or person."""
    return [
        Risk(
            "An observer collects all reports of one device",
            _belief(survey.lifetime_epsilon),
            f"{describe_lifetime_epsilon(survey)}; the device enforces it",
        ),
        Risk(
            f"An observer sees one delivery: {counted(survey.privacy.questions_per_device, 'report')}",
            _belief(survey.delivery_epsilon),
            f"epsilon {survey.delivery_epsilon:g} for one delivery",
        ),
        Risk(
            "Later versions or other surveys ask the same device",
            "each adds its own lifetime epsilon",
            "the app's max_lifetime_epsilon, if set: the device enforces it for all surveys together",
        ),
        Risk(
            "One person has several devices, or installs the app again",
            f"each adds epsilon {survey.lifetime_epsilon:g}",
            "no report names a person or a device; nothing bounds the sum",
        ),
    ]


def _linking(survey: Survey) -> list[Risk]:
    """The risks that someone links the reports of a device or detects that a device takes part."""
    groups = device_groups(survey)
    found = [
        Risk(
            "An observer sees which reports come from the same device",
            f"{groups:,} groups of devices, distinguished by what does not change: questions, phase and cohorts"
            if groups > 1
            else "one group: questions, phase and cohorts are the same for all devices",
            "questions and phase are drawn without regard to the customer; in a group of few devices, such as a rare"
            " cohort, all reports of one device can be recognised",
        ),
        Risk(
            "Cohorts, which are sent unrandomized, identify a customer",
            counted(len(survey.all_cohorts()), "combination") if survey.cohorts else "none: the survey has no cohorts",
            "the survey declares them; the app sets them, never from recorded data",
        ),
        Risk(
            "The network shows that a device takes part, and how long its requests are",
            "every device that agreed; the length depends on question, cohort and the digits of the symbol",
            "the number and schedule of requests are random and do not depend on recorded data, except that a request"
            " that is due waits until the app runs. TLS does not hide the length: it can show question and cohort if"
            " their names differ in length",
        ),
    ]
    if reveals_changes(survey):
        changes = Risk(
            "An observer who can link a device's reports sees whether and when its answer changed",
            f"not bounded by epsilon; at most {counted(survey.charges - 1, 'new answer')} can follow the first",
            "the collector stores no address and no time; fresh memory does not have this risk",
        )
        found.insert(0, changes)
    return found


def _others(survey: Survey) -> list[Risk]:
    """The risks of forged reports and of access to a device."""
    worst = max(survey.asked, key=_forgery)
    return [
        Risk(
            "Forged reports shift a result",
            f"{_forgery(worst):.1f} points for each percent of forged reports ({worst.id})",
            "the number of honest devices; the checks of the collector",
        ),
        Risk(
            "Someone gets access to the device",
            "it stores the recorded events: of one customer, or of all customers of a web shop or kiosk",
            "the protection of the state file by the app and the operating system",
        ),
    ]


def _belief(epsilon: float) -> str:
    return f"an observer who was {PRIOR:.0%} sure of a segment is {describe_belief(belief_bound(PRIOR, epsilon))}"


def _forgery(question: Question) -> float:
    """The largest shift of an estimate, as a multiple of the share of reports that are forged."""
    channel = question.mechanism.channel
    return float(max(1 - channel.q, channel.q) / channel.gain)
