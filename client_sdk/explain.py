"""What a survey asks and reveals, in plain language: for a customer, a developer and a privacy officer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from client_sdk.mechanisms import Rappor, optimal_mean_variance
from client_sdk.questions import Categories, Conditions, Cross, Form, Question, Scale, edge_name
from client_sdk.signals import Function
from client_sdk.status import SurveyStatus
from client_sdk.survey import Survey
from client_sdk.wording import counted, in_words

PRIOR = 0.10  # the share of customers for whom the example of what can be concluded is given
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


def largest_belief(prior: float, epsilon: float) -> float:
    """How sure an observer who was `prior` sure of something can be after reports worth `epsilon` in all.

    prior in [0, 1]; Bayes with the largest likelihood ratio, exp(epsilon).
    """
    return prior / (prior + (1 - prior) * math.exp(-epsilon))


def explain_survey(
    survey: Survey, status: SurveyStatus | None = None, *, off: str | None = None, technical: bool = False
) -> Explanation:
    """The survey in plain language, as a customer may read it before agreeing.

    status: also say how it stands on one device; off: why nothing is done there, if it is switched off. technical: at
    the end also say how each question is randomized, for whoever checks the survey.
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
        Section("What is asked", tuple(map(_question, survey.questions))),
        Section("What is kept on the device, and stays there", (*kept(survey), *computed(survey))),
        Section("What leaves the device", tuple(leaving(survey))),
        Section("What an observer could conclude", tuple(conclusions(survey))),
        Section("What you can do", tuple(choices(survey))),
    ]
    if status is not None:
        sections.append(Section("On this device", tuple(_standing(survey, status, off))))
    if technical:
        sections.append(Section("For those who check: how answers are randomized", tuple(_checking(survey))))
    return Explanation(f"{survey.title} ({survey.name})", tuple(sections))


def kept(survey: Survey) -> list[str]:
    """Which events and fields a device keeps, and for how long."""
    fields: dict[str, set[str]] = {}
    longest: dict[str, int] = {}
    for signal in survey.signals.values():
        fields.setdefault(signal.event, set()).update([signal.field] if signal.field else [])
        longest[signal.event] = max(signal.days, longest.get(signal.event, 0))
    return [
        f"{event}: the day{''.join(f', {field}' for field in sorted(fields[event]))};"
        f" for {counted(days, 'day')} at most."
        for event, days in longest.items()
    ]


def computed(survey: Survey) -> list[str]:
    """What a device computes from what it keeps: every signal in words."""
    return [
        f"{name}: {_COMPUTED[signal.function].format(signal.source)} in the last"
        f" {'day' if signal.days == 1 else f'{signal.days} days'}."
        for name, signal in survey.signals.items()
    ]


def leaving(survey: Survey) -> list[str]:
    """Everything that a device sends, and how often."""
    each = survey.privacy.questions_per_device
    asked = f"{each} of the {len(survey.asked)} questions" if each < len(survey.asked) else "every question"
    every = f"every {survey.epoch}"
    if survey.privacy.answers_every > 1:
        every = f"one {survey.epoch} in {survey.privacy.answers_every}"
    times = "once" if survey.answers == 1 else f"at most {survey.answers} times"
    cohorts = "; ".join(f"{name} ({', '.join(values)})" for name, values in survey.cohorts.items())
    return [
        f"A device answers {asked}, in {every}, {times} in all; which and when is drawn beforehand, whatever its data.",
        "Each answer is randomized on the device and sent as one number.",
        f"In the clear: {cohorts}." if cohorts else "Nothing is sent in the clear.",
        "Beside it: survey, version, digest, question, epoch, and a random number for the delivery.",
    ]


def conclusions(survey: Survey) -> list[str]:
    """What whoever sees all that leaves a device could conclude, over the whole survey and from one report."""
    whole = survey.lifetime_epsilon
    about = " for what was answered" if survey.permanent else ""
    lines = [
        f"If {PRIOR:.0%} of customers are in a segment, whoever keeps all reports of a device can be"
        f" {sureness(largest_belief(PRIOR, whole))} that its owner is one of them: epsilon {whole:g} over the"
        f" whole survey{about}.",
        *(
            f"From one report, {ids}: {sureness(largest_belief(PRIOR, epsilon))} (epsilon {epsilon:g})."
            for epsilon, ids in _by_epsilon(survey.asked)
        ),
        f"When a report leaves may tell when the app is used: it waits for a random moment of its {survey.epoch}, then"
        " for the app to run.",
    ]
    if survey.permanent:
        lines.append(
            "The answer to a value is randomized once and reused: the bound over the whole survey is about what was"
            " answered. Whether and when an answer changed it does not hide from whoever can link a device's reports."
            f" {_changes(survey)}"
        )
    if linkable := [one.id for one in survey.asked if one.linkable]:
        lines.append(
            f"The reused answers to {' and '.join(linkable)} are so many that hardly two devices share one: whoever"
            " sees the reports of several times can tell which come from the same device."
        )
    return lines


def _changes(survey: Survey) -> str:
    followed = survey.privacy.changes
    if not followed:
        return "A changed answer is not followed: the first one stays."
    changes = "One change is" if followed == 1 else f"At most {followed} changes are"
    return f"{changes} followed, then the last answer stays."


def over_all(survey: Survey) -> str:
    """The epsilon of all reports of a device, and with permanent memory what it does not bound."""
    about = " for what was answered, and no bound on whether and when an answer changed" if survey.permanent else ""
    return f"epsilon {survey.lifetime_epsilon:g} over the whole survey{about}"


def choices(survey: Survey) -> list[str]:
    """What a customer can do, and what that does not undo."""
    unnamed = "" if any(one.linkable for one in survey.asked) else ", where nothing names a device,"
    return [
        "Nothing is recorded or sent before you agree. You can withdraw at any time: what was recorded or waits to be"
        " sent is then erased.",
        f"What was sent stays among the counts{unnamed} until they are deleted.",
        *(
            ["Who withdraws and agrees again takes part no more in this survey: its answers were erased."]
            if survey.permanent
            else []
        ),
    ]


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


def sureness(share: float) -> str:
    """How sure someone can be, in words; near 1 with the digits that matter there."""
    if share >= 0.99995:
        return "practically certain"
    return f"at most {share:.0%} sure" if share < 0.985 else f"at most {share:.2%} sure"


def _by_epsilon(questions: Sequence[Question]) -> list[tuple[float, str]]:
    groups: dict[float, list[str]] = {}
    for question in questions:
        groups.setdefault(question.epsilon, []).append(question.id)
    return [
        (epsilon, "whatever the question" if len(groups) == 1 else " or ".join(ids)) for epsilon, ids in groups.items()
    ]


def _question(question: Question) -> str:
    alone = ", asked only with others" if question.only_crossed else ""
    return f"{question.id}{alone}: {segments(question.form)}"


def segments(form: Form, most: int = MOST_SHOWN) -> str:
    """The segments of a question, at most so many, with what each of them means."""
    match form:
        case Conditions():
            rules = [f"{segment} ({in_words(rule.source)})" for segment, rule in form.rules]
            return f"one of {_some(rules, most)}, or {form.rest} (the rest)"
        case Categories():
            return f"{form.signal}, one of {_some(form.categories, most)}, or {form.OTHER} (anything else, or nothing)"
        case Scale():
            lowest, *others = map(edge_name, form.edges)
            edge, above = (others[0], form.spans[1]) if others else (lowest, form.spans[0])
            return (
                f"{form.rule.source}, one of {_some(form.spans, most)}, or {form.otherwise} (below {lowest}, or no"
                f" number); {edge} itself is in {above}"
            )
        case Cross():
            return f"every combination of {' and '.join(form.questions)}"
    raise TypeError(f"there is no such form as {form!r}")


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _standing(survey: Survey, status: SurveyStatus, off: str | None) -> list[str]:
    spent = f"Spent: {'up to ' if survey.permanent else ''}epsilon {status.spent:g}"
    if off:
        return [f"Switched off in the environment ({off}): nothing is recorded or sent.", f"{spent}."]
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
