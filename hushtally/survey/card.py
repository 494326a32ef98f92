"""The privacy card of a survey: the skeleton of a privacy impact assessment in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from hushtally.client_sdk.explain.data_use import (
    ARRIVAL_ORDER,
    DEVICE,
    data_after_withdrawal,
    describe_signal,
    sent_data,
    stored_data,
)
from hushtally.client_sdk.explain.disclosure import observer_conclusions, reveals_changes
from hushtally.client_sdk.explain.segments import describe_segments
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import write_new_file
from hushtally.output.streams import print_text
from hushtally.survey.risks import describe_lifetime_epsilon, risks

OPEN = "_to be filled in_"


def card(survey: Survey) -> str:
    """The card of a survey in Markdown."""
    parts = [
        f"# Privacy card: {_escape(survey.title)}",
        _table(("Survey", "Value"), _facts(survey)),
        'Lists that say "you" quote the consent text: "you" is the customer.',
        "## Purpose",
        _escape(survey.purpose),
        _bullets([f"Legal basis: {OPEN}", f"Why less data is not enough: {OPEN}", f"Who was consulted, when: {OPEN}"]),
        "## Data",
        "Stored on the device and never sent:",
        _bullets([*stored_data(survey), DEVICE, f"Where the device is in this survey: {OPEN}"]),
        _table(("Signal", "Computed on the device as"), _signals(survey)),
        "Sent:",
        _bullets(sent_data(survey)),
        "## Questions",
        _table(("Question", "Segments, and who is in them"), _questions(survey)),
        "## Mechanism and guarantee",
        *_guarantee(survey),
        "## Safeguards",
        _bullets(_safeguards(survey)),
        "## Retention",
        _bullets(_retention(survey)),
        "## Risks",
        _table(("Risk", "Size", "What limits it"), risks(survey)),
        _bullets([f"Remaining risks, and who accepts them: {OPEN}"]),
        "## Review",
        f"Before the survey is renewed or changed in any way, and by {survey.ends}, its last day.",
        _bullets([f"Reviewed by: {OPEN}", f"Date: {OPEN}"]),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(survey: Survey) -> list[tuple[str, str]]:
    return [
        ("Id and version", survey.name),
        ("Digest", f"`{survey.digest}`"),
        ("Owner", survey.owner),
        ("Period", f"{survey.starts} to {survey.ends}, by {survey.epoch}"),
        ("Epsilon of one report", ", ".join(sorted({f"{question.epsilon:g}" for question in survey.asked}))),
        ("Epsilon of one delivery", f"{survey.delivery_epsilon:g}"),
        ("Lifetime epsilon (all reports of this version from one device)", describe_lifetime_epsilon(survey)),
    ]


def _signals(survey: Survey) -> list[tuple[str, str]]:
    return [(name, describe_signal(signal)) for name, signal in survey.signals.items()]


def _questions(survey: Survey) -> list[tuple[str, str]]:
    return [
        (
            f"{question.name}, asked only in combination" if question.only_crossed else question.name,
            describe_segments(question.form),
        )
        for question in survey.questions
    ]


def _guarantee(survey: Survey) -> list[str]:
    rows = [
        (
            question.id,
            question.mechanism.label,
            f"{question.epsilon:g}"
            if question.epsilon_permanent is None
            else f"{question.epsilon:g} / {question.epsilon_permanent:g}",
            f"{question.mechanism.channel.p:.4f}",
            f"{question.mechanism.channel.q:.4f}",
            f"{question.mechanism.symbols:,}",
        )
        for question in survey.asked
    ]
    changes = " This bounds what was answered. It does not bound whether and when an answer changed."
    second = " The second epsilon is for all reports of one unchanged answer together."
    return [
        "Local differential privacy: the device randomizes each answer before it sends anything. No report is more than"
        " e^epsilon times as likely under one answer as under another. All reports of this version from one device"
        f" together are bounded by epsilon {survey.lifetime_epsilon:g}, whatever the collector does."
        f"{changes if reveals_changes(survey) else ''} The app's max_lifetime_epsilon, if set, bounds what one device"
        " reveals in all versions and surveys. Nothing bounds what several devices of one person reveal.",
        _table(("Question", "Mechanism", "Epsilon", "p", "q", "Symbols"), rows),
        "p is the probability that a report supports the true segment; q, that it supports another segment."
        f"{second if survey.permanent else ''}",
        _bullets(observer_conclusions(survey)),
    ]


def _safeguards(survey: Survey) -> list[str]:
    epoch = survey.epoch
    return [
        "Consent first: before it, nothing is recorded or sent. Consent is bound to the digest above: after any change,"
        " customers are asked again. Exception: in an app with keep_consent=True, consent to one version covers every"
        " later version, even if it reveals more.",
        f"Whether the app sets keep_consent: {OPEN}",
        f"The app's max_lifetime_epsilon, if set: {OPEN}",
        f"A withdrawal erases events, answers and outbox from the device's file. {data_after_withdrawal(survey)}",
        "`DO_NOT_TRACK=1` and `HUSHTALLY_DISABLED=1` override consent.",
        "The device records the epsilon spent in a ledger and enforces the privacy budget. With a restored, copied or"
        " damaged state file it stays silent.",
        "Recorded data has no influence on which questions a device answers, or when. A device without events answers"
        " like any other.",
        "A report has no field for a person. The collector stores how often each symbol came, by question,"
        f" {epoch} and cohorts (plain text). Of each batch it stores the random id, the reply, and the day on which it"
        f" deletes both: when reports of the {epoch} are no longer accepted (after one to two {epoch}s). It stores no"
        " network address, no user agent and no time of arrival.",
        f"{ARRIVAL_ORDER} Both wait while another program reads the database or the disk is full, and after a crash"
        " until the collector starts again.",
        "The proxy in front of the collector, which terminates TLS, logs addresses and times unless it is configured"
        f" not to. What it logs, and for how long: {OPEN}",
        f"No estimate is published from fewer than {counted(survey.min_reports, 'report')}.",
    ]


def _retention(survey: Survey) -> list[str]:
    last = survey.epoch.label(survey.ends)
    return [
        f"On the device: events for at most {counted(survey.longest_window, 'day')}; randomized answers until they are"
        f" delivered or the next {survey.epoch} ends"
        f"{'; with permanent memory also every answer, until the survey ends' if survey.permanent else ''}.",
        f"At the collector: reports of a {survey.epoch} are accepted until the next {survey.epoch} ends. Their counts"
        f" are deleted {counted(survey.retention_days, 'day')} later, the last of them on {survey.erased_on(last)}.",
        f"Published results: {OPEN}",
    ]


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *(tuple(map(_escape, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def _escape(text: str) -> str:
    """The text on one line, with the characters escaped that Markdown could interpret as markup."""
    return re.sub(r"([\\|<\[*~&])", r"\\\1", " ".join(text.split()))


@click.command("card")
@click.argument("file")
@click.option("--output", type=click.Path(path_type=Path), help="Write to this new file instead of standard output.")
def write_card(file: str, output: Path | None) -> None:
    """Write the privacy card of FILE.

    The card is a Markdown document for a privacy officer: the skeleton of a privacy impact assessment, filled in from
    the survey. Fields that a person must complete are marked "to be filled in".
    """
    text = card(Survey.load(file))
    if output is None:
        print_text(text.removesuffix("\n"))
        return
    write_new_file(output, text, "card.md")
    print_text(f"wrote {output}", err=True)
