"""Warnings about a valid survey: what is allowed but unwise, why, and what to do instead."""

from __future__ import annotations

import math
from datetime import date

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief
from hushtally.client_sdk.explain.ranges import misread_range, unreachable_ranges
from hushtally.client_sdk.explain.reachability import unreachable_segments
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE, Rappor, max_symbols_permanent
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.fields import row_place
from hushtally.client_sdk.survey.number_names import edge_name, is_number_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Form, Question, Scale
from hushtally.client_sdk.survey.signals import Function

MOST_VALUES_NAMED = 3  # in one line
NOTABLE_COST = 1.01  # times the variance of the automatic choice
# the most that a single report may reveal: all reports of a device together should not reveal more than that
ADVISED_LIFETIME_EPSILON = EPSILON_RANGE[1]
Z = 1.96  # standard errors in the margin of error at 95% confidence
SHORTEST_EPOCH = {EpochLength.DAY: 1, EpochLength.WEEK: 7, EpochLength.MONTH: 28}  # days


def advice(survey: Survey, today: date) -> list[str]:
    """One line for each thing in the survey that is unwise, beginning with its place, like `privacy.answers_every`.

    Warns of a survey that has ended, devices that never answer, a large lifetime epsilon, changes that permanent memory
    does not follow, too small a min_reports, unused signals, strings that devices drop, windows shorter than an epoch,
    segments that stay empty, ranges that are misread, costly mechanisms, and answers that identify a device.
    """
    return [
        *_silent_devices(survey, today),
        *_large_lifetime_epsilon(survey),
        *lag_warnings(survey),
        *_too_few_reports(survey),
        *_unused_signals(survey),
        *_dropped_strings(survey),
        *_short_windows(survey),
        *_empty_segments(survey),
        *_misread_ranges(survey),
        *_costly_mechanisms(survey),
        *_identifying_answers(survey),
    ]


def _silent_devices(survey: Survey, today: date) -> list[str]:
    lines = []
    if today > survey.ends:
        lines.append(f"ends: the survey ended on {survey.ends}, so no device answers it any more")
    every, epochs = survey.privacy.answers_every, survey.epochs
    if every > epochs:
        lines.append(
            f"privacy.answers_every: the survey has only {counted(epochs, survey.epoch)}, so {every - epochs} of every"
            f" {every} devices never answer; use at most {epochs}"
        )
    return lines


def _large_lifetime_epsilon(survey: Survey) -> list[str]:
    lifetime = survey.lifetime_epsilon
    if lifetime <= ADVISED_LIFETIME_EPSILON:
        return []
    scope = " for what was answered" if survey.permanent else ""
    return [
        f"privacy: the lifetime epsilon is {lifetime:g}{scope}, so an observer who was {PRIOR:.0%} sure of a segment"
        f" can become {describe_belief(belief_bound(PRIOR, lifetime))}; {' or '.join(ways_to_lower_epsilon(survey))}"
    ]


def ways_to_lower_epsilon(survey: Survey) -> list[str]:
    """What lowers the lifetime epsilon of this survey, as imperatives."""
    privacy = survey.privacy
    ways = ["lower epsilon_permanent" if survey.permanent else "lower epsilon"]
    if privacy.changes and survey.charges == 1 + privacy.changes:
        ways.append("follow fewer changes")
    if privacy.questions_per_device > 1:
        ways.append("lower questions_per_device")
    if survey.charges == survey.answers > 1:
        ways.append("answer less often (raise answers_every, or shorten the survey)")
    return ways


def lag_warnings(survey: Survey) -> list[str]:
    """A warning if permanent memory can run out of changes, so that estimates lag behind."""
    changes = survey.privacy.changes or 0
    most_segments = max(len(question.segments) for question in survey.asked)
    if not survey.permanent or 1 + changes >= min(survey.answers, most_segments):
        return []
    since = f"after {counted(changes, 'new answer')} a device keeps sending an old one"
    return [
        f"privacy.changes: with permanent memory and changes = {changes},"
        f" {since if changes else 'a device keeps sending its first answer'}: trends are underestimated, and the"
        " intervals do not reflect that; raise changes, or use fresh memory"
    ]


def describe_accuracy(survey: Survey) -> str:
    """The accuracy of an estimate from `min_reports` reports, for the question with the largest error."""
    question, half_width = _least_accurate(survey)
    return (
        f"an estimate from {counted(survey.min_reports, 'report')} (min_reports) has a 95% confidence interval of about"
        f" ±{min(100, 100 * half_width):.0f} points ({question.id})"
    )


def _least_accurate(survey: Survey) -> tuple[Question, float]:
    """The question with the largest error, and half the width of its 95% interval from min_reports reports."""
    question = max(survey.asked, key=lambda question: question.mechanism.mean_variance())
    return question, Z * math.sqrt(question.mechanism.mean_variance() / survey.min_reports)


def _too_few_reports(survey: Survey) -> list[str]:
    question, half_width = _least_accurate(survey)
    if 2 * half_width <= 1:
        return []
    needed = math.ceil((2 * Z) ** 2 * question.mechanism.mean_variance())
    return [
        f"min_reports: an estimate of {question.id} from {counted(survey.min_reports, 'report')} is meaningless: its"
        f" 95% confidence interval is wider than 100 points; use at least {needed:,}"
    ]


def _unused_signals(survey: Survey) -> list[str]:
    needed = {name for question in survey.questions for name in question.form.needs}
    return [
        f"signals.{name}: no question uses this signal; remove it, so that devices store no events for it"
        for name in survey.signals
        if name not in needed
    ]


def _dropped_strings(survey: Survey) -> list[str]:
    sums = {signal.source: name for name, signal in survey.signals.items() if signal.function is Function.SUM}
    lines = []
    for name, signal in survey.signals.items():
        if signal.function is not Function.TOP or signal.source not in sums:
            continue
        strings = {value for question in survey.questions for value in _compared_strings(question.form, name)}
        if dropped := sorted(value for value in strings if not is_number_name(value)):
            lines.append(
                f"signals.{name}: devices store only numbers of {signal.source}, because signals.{sums[signal.source]}"
                f" sums it, so its value is never {' or '.join(map(repr, dropped[:MOST_VALUES_NAMED]))}; record strings"
                " in another field"
            )
    return lines


def _compared_strings(form: Form, name: str) -> set[str]:
    """The strings that a question compares this signal with, as far as they are known."""
    if isinstance(form, Categories):
        return set(form.categories) if form.signal == name else set()
    rules = [rule for _, rule in form.rules] if isinstance(form, Conditions) else []
    return {value for rule in rules for value in (rule.constants or {}).get(name, ()) if isinstance(value, str)}


def _short_windows(survey: Survey) -> list[str]:
    epoch, length = survey.epoch, SHORTEST_EPOCH[survey.epoch]
    seen = "a day has hardly begun then" if epoch is EpochLength.DAY else f"the other days of a {epoch} are never seen"
    return [
        f"signals.{name}: days = {signal.days}, but a device answers at its first tick in a {epoch}: {seen}; use at"
        f" least {max(2, length)}"
        for name, signal in survey.signals.items()
        if signal.days < max(2, length)
    ]


def _empty_segments(survey: Survey) -> list[str]:
    lines = []
    for index, question in enumerate(survey.questions):
        form, place = question.form, _place(index, question)
        if isinstance(form, Conditions):
            for segment, reason in unreachable_segments(form, survey.signals).items():
                lines.append(f"{place}.segments: no customer can be in {segment!r}: {reason}")
        elif isinstance(form, Scale):
            lines += [
                f"{place}.edges: no customer can be in {segment!r}: {_reason(form, segment)}"
                for segment in unreachable_ranges(form, survey.signals)
            ]
    return lines


def _reason(form: Scale, segment: str) -> str:
    """Why a range or `otherwise` stays empty, and what to do."""
    if segment != form.otherwise:
        return "the number never lies in this range; remove an edge"
    lowest = edge_name(form.edges[0])
    return f"the number is never below {lowest}; use a higher first edge, so that {segment!r} takes the lowest numbers"


def _misread_ranges(survey: Survey) -> list[str]:
    return [
        f"{_place(index, question)}.edges: {found[0]!r} contains {found[1]}: the number is whole, and a range excludes"
        " its upper edge; use `segments` with rules, and ids that say what they contain"
        for index, question in enumerate(survey.questions)
        if isinstance(question.form, Scale) and (found := misread_range(question.form, survey.signals))
    ]


def _costly_mechanisms(survey: Survey) -> list[str]:
    lines = []
    for index, question in enumerate(survey.questions):
        best = question.best
        cost = question.mechanism.mean_variance() / best.mean_variance()
        if cost > NOTABLE_COST:
            name = question.mechanism.name
            least = "at least " if isinstance(question.mechanism, Rappor) else ""  # values that share a bit cost more
            lines.append(
                f"{_place(index, question)}.mechanism: {name} has {least}{cost:.2f} times the variance of the automatic"
                f" choice, {best.name}, so it needs that many times as many devices"
            )
    return lines


def _identifying_answers(survey: Survey) -> list[str]:
    return [
        f"{_place(index, question)}.mechanism: with permanent memory, a repeated symbol out of"
        f" {question.mechanism.symbols:,} identifies the device that sent it; auto uses at most"
        f" {max_symbols_permanent(question.mechanism.domain):,} symbols"
        for index, question in enumerate(survey.questions)
        if question.linkable
    ]


def _place(index: int, question: Question) -> str:
    return row_place("questions", index, {"id": question.id})
