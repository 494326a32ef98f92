"""What a survey asks and reveals, in plain language: for a customer, a developer and a privacy officer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from hushtally.client_sdk.explain.belief import PRIOR, largest_belief, sureness
from hushtally.client_sdk.explain.status import SurveyStatus
from hushtally.client_sdk.explain.wording import counted, in_words
from hushtally.client_sdk.mechanisms import Rappor, optimal_mean_variance
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Question, Scale
from hushtally.client_sdk.survey.signals import Function

MOST_SHOWN = 8  # segments of a question
WIDTH = 100  # columns of the printed text

_COMPUTED = {
    Function.COUNT: "how many {} events there were",
    Function.SUM: "the sum of {}",
    Function.DAYS_SINCE: "the days since the last {} event",
    Function.TOP: "the most frequent {}",
    Function.DISTINCT: "how many different {} there were",
}


@dataclass(frozen=True)
class Section:
    """A heading and the sentences under it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A survey in plain language; print it, or build a settings page from `as_dict`."""

    title: str
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDTH) -> str:
        """What is printed, its lines broken at `width` columns; width >= 20."""
        parts = [textwrap.fill(self.title, width)]
        for section in self.sections:
            parts.append("\n".join([section.heading, *(_wrapped(line, width) for line in section.lines)]))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The same as JSON-ready data: title, and sections with heading and lines."""
        return asdict(self)


def explain_survey(
    survey: Survey, status: SurveyStatus | None = None, *, stopped: str | None = None, technical: bool = False
) -> Explanation:
    """The survey in plain language, as a customer may read it before agreeing.

    status: also say how it stands on one device; stopped: why nothing is done there, if that is so, without a status
    where that cannot be read. technical: at the end also say how each question is randomized, for whoever checks the
    survey.
    """
    about = (
        f"Why: {survey.purpose}",
        f"Who: {survey.owner}",
        f"When: {survey.starts} to {survey.ends}, by {survey.epoch}",
        f"Counts of a {survey.epoch} are deleted {counted(survey.retention_days, 'day')} after the next one ends;"
        f" nothing is published from fewer than {counted(survey.min_reports, 'report')}.",
    )
    sections = [
        Section("What it is", about),
        Section("What is kept on the device, and stays there", (*kept(survey), *computed(survey))),
        Section("What is asked", tuple(map(_question, survey.questions))),
        Section("What leaves the device", tuple(leaving(survey))),
        Section("What an observer could conclude", tuple(conclusions(survey))),
        Section("What you can do", tuple(choices(survey))),
    ]
    if status or stopped:
        sections.append(Section("On this device", tuple(_standing(survey, status, stopped))))
    if technical:
        sections.append(Section("For those who check: how answers are randomized", tuple(_checking(survey))))
    return Explanation(f"{survey.title} ({survey.name})", tuple(sections))


def kept(survey: Survey) -> list[str]:
    """Which events and fields a device keeps, and for how long; and with permanent memory its answers."""
    fields: dict[str, set[str]] = {}
    longest: dict[str, int] = {}
    for signal in survey.signals.values():
        fields.setdefault(signal.event, set()).update([signal.field] if signal.field else [])
        longest[signal.event] = max(signal.days, longest.get(signal.event, 0))
    lines = [
        f"{event}: the day{''.join(f', {field}' for field in sorted(fields[event]))};"
        f" for {counted(days, 'day')} at most."
        for event, days in longest.items()
    ]
    if survey.permanent:
        lines.append("Every answer, with the randomized one that is reused for it; until the survey ends.")
    return lines


def computed(survey: Survey) -> list[str]:
    """What a device computes from what it keeps: every signal in words."""
    return [
        f"{name}: {_COMPUTED[signal.function].format(signal.source)} in the last"
        f" {'day' if signal.days == 1 else f'{signal.days} days'}."
        for name, signal in survey.signals.items()
    ]


def leaving(survey: Survey) -> list[str]:
    """Everything that a device sends, and how often."""
    cohorts = ", ".join(f"{name} ({', '.join(values)})" for name, values in survey.cohorts.items())
    together = f", all of one {survey.epoch} together" if survey.privacy.questions_per_device > 1 else ""
    return [
        _answering(survey),
        f"Each answer is randomized on the device and sent as one number{together}.",
        f"Beside it, in the clear: of the customer {cohorts or 'nothing'}; of the report survey, version, digest,"
        " question, epoch, and a random number for the delivery.",
        "As with any request, its network address reaches the operator's server; the collector stores none.",
    ]


def _answering(survey: Survey) -> str:
    """Which questions a device answers, and when; and of these what is drawn, if anything is."""
    questions, each = len(survey.asked), survey.privacy.questions_per_device
    every = survey.privacy.answers_every
    asked = "every question" if questions > 1 else "the question"
    if each < questions:
        asked = f"{each} of the {questions} questions"
    pace = f" every {survey.epoch}," if survey.epochs > 1 else ""
    if every > 1:
        pace = f" in one {survey.epoch} in {every},"
    times = "once" if survey.answers == 1 else f"{survey.answers} times"
    drawn = " and ".join(["which"] * (each < questions) + ["when"] * (every > 1))
    return (
        f"A device answers {asked}{pace} at most {times}{' each' if each > 1 else ''}"
        f"{f'; {drawn} is drawn beforehand' if drawn else ''}, whatever its data."
    )


def conclusions(survey: Survey) -> list[str]:
    """What whoever sees all that leaves a device could conclude: from all its reports, and from one."""
    whole = survey.lifetime_epsilon
    about = ", for what was answered" if tells_changes(survey) else ""
    lines = [
        f"If {PRIOR:.0%} of customers are in a segment, whoever keeps all reports of a device can be"
        f" {sureness(largest_belief(PRIOR, whole))} that its owner is one of them: epsilon {whole:g} over this"
        f" version of the survey{about}.",
        *(
            f"From {which}: {sureness(largest_belief(PRIOR, epsilon))} (epsilon {epsilon:g})."
            for epsilon, which in _by_epsilon(survey.asked)
        ),
        *_from_one_delivery(survey),
        "A new version, another survey or another device of the same owner adds its own; the app may cap the sum on one"
        " device.",
        f"When a report leaves may tell when the app is used: it waits for a random moment of its {survey.epoch}, then"
        " for the app to run.",
        *_standing_groups(survey),
    ]
    if tells_changes(survey):
        lines.append(
            "The answer to a value is randomized once and reused. That hides what was answered, but not whether and"
            " when it changed from whoever can link a device's reports. At most"
            f" {counted(survey.charges - 1, 'new answer')} can follow the first, then only those given before."
        )
    elif survey.permanent:
        lines.append("The first answer is randomized once and reused: no change is followed.")
    if linkable := [one.id for one in survey.asked if one.linkable]:
        lines.append(
            f"The reused answers to {' and '.join(linkable)} are so many that hardly two devices share one: whoever"
            " sees the reports of several times can tell which come from the same device."
        )
    return lines


def _from_one_delivery(survey: Survey) -> list[str]:
    each, epsilon = survey.privacy.questions_per_device, survey.delivery_epsilon
    if each == 1:
        return []
    return [f"From one delivery ({each} reports): {sureness(largest_belief(PRIOR, epsilon))} (epsilon {epsilon:g})."]


def _standing_groups(survey: Survey) -> list[str]:
    number = groups(survey)
    if number == 1:
        return []
    privacy = survey.privacy
    lasting = ["questions"] * (privacy.questions_per_device < len(survey.asked))
    lasting += [f"{survey.epoch}s"] * (privacy.answers_every > 1) + ["cohorts"] * bool(survey.cohorts)
    which = " and ".join(filter(None, (", ".join(lasting[:-1]), lasting[-1])))
    return [
        f"A device's {which} stay the same, in {number:,} combinations: where few devices share one, reports can be"
        " told to come from the same device."
    ]


def groups(survey: Survey) -> int:
    """Into how many groups devices fall by what lasts and goes with every report: questions, phase and cohorts."""
    questions = math.comb(len(survey.asked), survey.privacy.questions_per_device)
    return questions * min(survey.privacy.answers_every, survey.epochs) * len(survey.all_cohorts())


def tells_changes(survey: Survey) -> bool:
    """Whether whoever can link a device's reports may see that an answer changed, which no epsilon bounds."""
    return survey.permanent and survey.charges > 1


def choices(survey: Survey) -> list[str]:
    """What a customer can do, and what that does not undo."""
    unnamed = "" if any(one.linkable for one in survey.asked) else ", where nothing names a device,"
    return [
        "Nothing is recorded or sent before you agree. You can withdraw at any time: what was recorded or waits to be"
        " sent is then erased.",
        staying(survey),
        f"What was sent stays among the counts{unnamed} until they are deleted.",
        *(
            ["Who withdraws and agrees again takes part no more in this survey: its answers were erased."]
            if survey.permanent
            else []
        ),
    ]


def staying(survey: Survey) -> str:
    """What a withdrawal leaves on the device."""
    return (
        f"What stays on the device: when that was, its questions and {survey.epoch}s, which it answered, and the"
        " epsilon spent."
    )


def _checking(survey: Survey) -> list[str]:
    """For every question what was chosen and what it costs, for whoever knows the field."""
    return [
        "p is how often a report supports the true segment, q how often another one.",
        *(f"{one.id}: {randomization(one)}" for one in survey.asked),
    ]


def randomization(question: Question) -> str:
    """How a question's answers are randomized, and at what cost in accuracy."""
    mechanism = question.mechanism
    size = math.ceil((mechanism.symbols - 1).bit_length() / 8)
    cost = mechanism.mean_variance() / optimal_mean_variance(mechanism.domain, question.epsilon)
    least = "at least " if isinstance(mechanism, Rappor) else ""  # values that share a bit cost more
    memory = "" if question.epsilon_permanent is None else f", {question.epsilon_permanent:g} for all of one answer"
    return (
        f"{mechanism.label}, epsilon {question.epsilon:g}{memory}:"
        f" p {mechanism.channel.p:.4f}, q {mechanism.channel.q:.4f}, {mechanism.symbols:,} symbols"
        f" ({counted(size, 'byte')}), variance {least}{cost:.3f} times the optimum"
    )


def _by_epsilon(questions: Sequence[Question]) -> list[tuple[float, str]]:
    groups: dict[float, list[str]] = {}
    for question in questions:
        groups.setdefault(question.epsilon, []).append(question.id)
    return [
        (epsilon, "any one report" if len(groups) == 1 else f"one report, {' or '.join(ids)}")
        for epsilon, ids in groups.items()
    ]


def _question(question: Question) -> str:
    alone = ", asked only with others" if question.only_crossed else ""
    return f"{question.name}{alone}: {segments(question.form)}"


def segments(form: Form, most: int = MOST_SHOWN) -> str:
    """The segments of a question, at most so many, with what each of them means."""
    match form:
        case Conditions():
            rules = [f"{segment} ({in_words(rule.source)})" for segment, rule in form.rules]
            return f"{_some(rules, most)}, or {form.rest} (the rest)"
        case Categories():
            named = _some(form.categories, most)
            return f"{form.signal} is {named}, or {form.OTHER} (anything else, or nothing)"
        case Scale():
            lowest, *others = map(edge_name, form.edges)
            edge, above = (others[0], form.spans[1]) if others else (lowest, form.spans[0])
            return (
                f"{form.rule.source} is {_some(form.spans, most)}, or {form.otherwise} (below {lowest}, or no number);"
                f" {edge} itself is in {above}"
            )
        case Cross():
            return f"every combination of {' and '.join(form.questions)}"
    raise TypeError(f"there is no such form as {form!r}")


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _standing(survey: Survey, status: SurveyStatus | None, stopped: str | None) -> list[str]:
    if status is None:
        return [
            f"Nothing is recorded or sent: {stopped}.",
            "To agree or to withdraw can only be noted once that is over.",
        ]
    spent = f"Spent: {'up to ' if survey.permanent else ''}epsilon {status.spent:g}"
    if stopped:
        return [f"Nothing is recorded or sent: {stopped}.", f"{spent}."]
    silent = [f"Silent: {status.silent}."] if status.silent else []
    if status.consent:
        coming = [f"The next answer is in {status.next}."] if status.next else []
        return ["The customer agreed.", *silent, *coming, f"{spent} of at most {status.most:g}."]
    if status.withdrew:
        return ["The customer withdrew: nothing is recorded or sent.", f"{spent}."]
    return [
        "The customer has not agreed: nothing is recorded or sent.",
        f"{spent}. Agreeing may cost at most epsilon {survey.lifetime_epsilon:g}{' more' if status.spent else ''}.",
    ]


def _wrapped(line: str, width: int) -> str:
    return textwrap.fill(
        line, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
