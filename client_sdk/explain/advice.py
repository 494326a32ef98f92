"""Advice on a sound survey: what is allowed, but hardly meant, reveals much, tells little, or costs too much."""

from __future__ import annotations

import math
from datetime import date

from hushtally.client_sdk.explain.belief import PRIOR, largest_belief, sureness
from hushtally.client_sdk.explain.reachability import unreachable
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE, Rappor, max_symbols_permanent
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.fields import row_place
from hushtally.client_sdk.survey.number_names import is_number_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Form, Question
from hushtally.client_sdk.survey.signals import Function

MOST_TEXTS = 3  # that one line names
WORTH_SAYING = 1.01  # times the variance of the automatic choice
# what one report may reveal at most: beyond it, all of a device's reports tell what no single one is allowed to
MUCH = EPSILON_RANGE[1]
Z = 1.96  # standard errors from the middle of a 95% interval to its ends


def advice(survey: Survey, today: date) -> list[str]:
    """One line, with its place, for each thing that a survey may do but had better not.

    Times that leave devices silent, a large lifetime epsilon, changes that are not followed, reports too few to tell
    anything, signals kept for nothing, of dropped texts, or that see little of their epoch, segments that stay empty,
    mechanisms that need more devices than others, symbols that tell devices apart.
    """
    return [
        *_timing(survey, today),
        *_spending(survey),
        *lagging(survey),
        *_telling(survey),
        *_unused(survey),
        *_dropped(survey),
        *_short(survey),
        *_empty(survey),
        *_costs(survey),
        *_linking(survey),
    ]


def _timing(survey: Survey, today: date) -> list[str]:
    lines = []
    if today > survey.ends:
        lines.append(f"ends: the survey was over on {survey.ends}: no device answers it any more")
    if today < survey.starts:
        lines.append(f"starts: no device answers before {survey.starts}")
    every, epochs = survey.privacy.answers_every, survey.epochs
    if every > epochs:
        lines.append(
            f"privacy.answers_every: the survey has only {counted(epochs, survey.epoch)}:"
            f" {every - epochs} of {every} devices never answer"
        )
    return lines


def _spending(survey: Survey) -> list[str]:
    whole = survey.lifetime_epsilon
    if whole <= MUCH:
        return []
    about = " of what was answered" if survey.permanent else ""
    return [
        f"privacy: all reports of a device together reveal up to epsilon {whole:g}{about}: who was {PRIOR:.0%} sure can"
        f" be {sureness(largest_belief(PRIOR, whole))}; {' or '.join(savings(survey))}"
    ]


def savings(survey: Survey) -> list[str]:
    """What lowers the lifetime epsilon of this survey."""
    privacy = survey.privacy
    ways = ["lower epsilon_permanent" if survey.permanent else "lower epsilon"]
    if privacy.changes and survey.charges == 1 + privacy.changes:
        ways.append("follow fewer changes")
    if privacy.questions_per_device > 1:
        ways.append("lower questions_per_device")
    if survey.charges == survey.answers > 1:
        ways.append("answer less often (raise answers_every, or shorten the survey)")
    return ways


def lagging(survey: Survey) -> list[str]:
    """What is said of permanent memory whose changes can be used up."""
    changes = survey.privacy.changes or 0
    most = max(len(question.segments) for question in survey.asked)
    if not survey.permanent or 1 + changes >= min(survey.answers, most):
        return []
    since = f"after {counted(changes, 'new answer')} a device keeps sending an old one" if changes else ""
    return [
        f"privacy.changes: with permanent memory and changes = {changes},"
        f" {since or 'a device keeps sending its first answer'}: trends are told too small, and no interval shows it"
    ]


def precision(survey: Survey) -> str:
    """How much can be told from the fewest reports that are published, of the question that needs the most."""
    worst, half = _worst(survey)
    return (
        f"from {counted(survey.min_reports, 'report')}, the fewest that are published, a 95% interval is about"
        f" ±{min(100, 100 * half):.0f} points ({worst.id})"
    )


def _worst(survey: Survey) -> tuple[Question, float]:
    """The question that needs the most reports, and half the width of its 95% interval from min_reports of them."""
    worst = max(survey.asked, key=lambda question: question.mechanism.mean_variance())
    return worst, Z * math.sqrt(worst.mechanism.mean_variance() / survey.min_reports)


def _telling(survey: Survey) -> list[str]:
    worst, half = _worst(survey)
    if 2 * half <= 1:
        return []
    return [
        f"min_reports: from {counted(survey.min_reports, 'report')} nothing can be told about {worst.id}: even from"
        f" {math.ceil((2 * Z) ** 2 * worst.mechanism.mean_variance()):,} a 95% interval is 100 points wide"
    ]


def _unused(survey: Survey) -> list[str]:
    needed = {name for question in survey.questions for name in question.form.needs}
    return [
        f"signals.{name}: no question uses it: leave it out, and its events are not kept on the device for nothing"
        for name in survey.signals
        if name not in needed
    ]


def _dropped(survey: Survey) -> list[str]:
    sums = {signal.source: name for name, signal in survey.signals.items() if signal.function is Function.SUM}
    lines = []
    for name, signal in survey.signals.items():
        if signal.function is not Function.TOP or signal.source not in sums:
            continue
        texts = {text for question in survey.questions for text in _compared(question.form, name)}
        if dropped := sorted(text for text in texts if not is_number_name(text)):
            lines.append(
                f"signals.{name}: devices keep only numbers of {signal.source}, as signals.{sums[signal.source]} sums"
                f" it: no customer has {' or '.join(map(repr, dropped[:MOST_TEXTS]))}; record texts in another field"
            )
    return lines


def _compared(form: Form, name: str) -> set[str]:
    """The texts that a question compares this signal with, as far as that can be told."""
    if isinstance(form, Categories):
        return set(form.categories) if form.signal == name else set()
    rules = [rule for _, rule in form.rules] if isinstance(form, Conditions) else []
    return {text for rule in rules for text in (rule.constants or {}).get(name, ()) if isinstance(text, str)}


def _short(survey: Survey) -> list[str]:
    epoch = survey.epoch
    lines = []
    for name, signal in survey.signals.items():
        if signal.days == 1:
            seen = "today has hardly begun then"
        elif signal.days <= (epoch.end(survey.starts) - epoch.start(survey.starts)).days + 1:
            seen = f"the last {signal.days} days are mostly those before the {epoch} then"
        else:
            continue
        lines.append(f"signals.{name}: a device answers at its first tick in a {epoch}: {seen}; look back further")
    return lines


def _empty(survey: Survey) -> list[str]:
    return [
        f"{_place(index, question)}.segments: no customer can be in {segment!r}: {why}"
        for index, question in enumerate(survey.questions)
        if isinstance(question.form, Conditions)
        for segment, why in unreachable(question.form, survey.signals).items()
    ]


def _costs(survey: Survey) -> list[str]:
    lines = []
    for index, question in enumerate(survey.questions):
        best = question.best
        cost = question.mechanism.mean_variance() / best.mean_variance()
        if cost > WORTH_SAYING:
            name = question.mechanism.name
            least = "at least " if isinstance(question.mechanism, Rappor) else ""  # values that share a bit cost more
            lines.append(
                f"{_place(index, question)}.mechanism: {name} costs {least}{cost:.2f} times the variance"
                f" of the automatic choice, {best.name}: it needs as many times the devices"
            )
    return lines


def _linking(survey: Survey) -> list[str]:
    return [
        f"{_place(index, question)}.mechanism: with permanent memory one of {question.mechanism.symbols:,} symbols that"
        f" comes again tells which device sent it; auto keeps to {max_symbols_permanent(question.mechanism.domain):,}"
        for index, question in enumerate(survey.questions)
        if question.linkable
    ]


def _place(index: int, question: Question) -> str:
    return row_place("questions", index, {"id": question.id})
