"""The document that goes with a survey: a privacy impact assessment's skeleton in Markdown, filled from the survey."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from hushtally.client_sdk.explain.belief import PRIOR, largest_belief, sureness
from hushtally.client_sdk.explain.explanation import (
    conclusions,
    groups,
    kept,
    leaving,
    segments,
    staying,
    tells_changes,
)
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

OPEN = "_to be filled in_"


def card(survey: Survey) -> str:
    """The survey's card: purpose, data, mechanism and guarantee, safeguards, retention, risks, review date."""
    parts = [
        f"# Privacy card: {_text(survey.title)}",
        _table(("Survey", "Value"), _facts(survey)),
        "## Purpose",
        _text(survey.purpose),
        _bullets([f"Legal basis: {OPEN}", f"Why less would not do: {OPEN}", f"Who was consulted, and when: {OPEN}"]),
        "## Data used",
        "Kept on the customer's device, never sent:",
        _bullets(kept(survey)),
        _table(("Signal", "Computed on the device as"), _signals(survey)),
        "Sent:",
        _bullets(leaving(survey)),
        "## Questions",
        _table(("Question", "Segments, and who is in them"), _questions(survey)),
        "## Mechanism and guarantee",
        *_guarantee(survey),
        "## Safeguards",
        _bullets(_safeguards(survey)),
        "## Retention",
        _bullets(_retention(survey)),
        "## Risks, and how large they are",
        _table(("Risk", "How large", "What limits it"), _risks(survey)),
        _bullets([f"Risks that remain, and who accepts them: {OPEN}"]),
        "## Review",
        f"By {survey.ends}, the survey's last day, and before it is renewed or changed in any way.",
        _bullets([f"Reviewed by: {OPEN}", f"On: {OPEN}"]),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(survey: Survey) -> list[tuple[str, str]]:
    return [
        ("Id and version", survey.name),
        ("Digest", f"`{survey.digest}`"),
        ("Owner", survey.owner),
        ("Runs", f"{survey.starts} to {survey.ends}, by {survey.epoch}"),
        ("Epsilon of one report", ", ".join(sorted({f"{one.epsilon:g}" for one in survey.asked}))),
        ("Epsilon of one delivery", f"{survey.delivery_epsilon:g}"),
        ("All reports of this version from one device", _together(survey)),
    ]


def _together(survey: Survey) -> str:
    """The epsilon of all reports of a device, and what it does not bound."""
    caveat = " for what was answered, and no bound on whether and when an answer changed"
    return f"epsilon {survey.lifetime_epsilon:g}{caveat if tells_changes(survey) else ''}"


def _signals(survey: Survey) -> list[tuple[str, str]]:
    return [
        (name, f"{one.function} of {one.source}, last {counted(one.days, 'day')}")
        for name, one in survey.signals.items()
    ]


def _questions(survey: Survey) -> list[tuple[str, str]]:
    return [
        (
            f"{one.name}, only crossed: not asked on its own" if one.only_crossed else one.name,
            segments(one.form, len(one.segments)),
        )
        for one in survey.questions
    ]


def _guarantee(survey: Survey) -> list[str]:
    rows = [
        (
            one.id,
            one.mechanism.label,
            f"{one.epsilon:g}" if one.epsilon_permanent is None else f"{one.epsilon:g} / {one.epsilon_permanent:g}",
            f"{one.mechanism.channel.p:.4f}",
            f"{one.mechanism.channel.q:.4f}",
            f"{one.mechanism.symbols:,}",
        )
        for one in survey.asked
    ]
    together = f"bounded by epsilon {survey.lifetime_epsilon:g}, whatever the collector does"
    if tells_changes(survey):
        together += ", in what they tell of what was answered; whether and when an answer changed is not bounded"
    return [
        "Local differential privacy: each answer is randomized on the device before anything is sent. No report is more"
        " than e^epsilon times as likely under one answer as under another, and all reports of this version from one"
        f" device together are {together}. What a device reveals under several versions is bounded by the app's"
        " max_lifetime_epsilon, if it sets one; what several devices of one person reveal is not bounded.",
        _table(("Question", "Mechanism", "Epsilon", "p", "q", "Symbols"), rows),
        "p is how often a report supports the true segment, q how often it supports another one."
        + (" The second epsilon is for all reports of one unchanged answer together." if survey.permanent else ""),
        _bullets(conclusions(survey)),
    ]


def _safeguards(survey: Survey) -> list[str]:
    return [
        "Consent first: before it nothing is recorded or sent. It is bound to this digest, and any change asks again,"
        " unless the app was built with keep_consent=True: then consent to one version holds for every later one, also"
        " for one that reveals more.",
        f"Whether the app keeps consent: {OPEN}",
        f"The app's max_lifetime_epsilon, if it sets one: {OPEN}",
        f"Withdrawal erases events, answers and the outbox from the device's file. {staying(survey)}",
        "`DO_NOT_TRACK=1` and `HUSHTALLY_DISABLED=1` win over consent.",
        "The device keeps the ledger of what was spent and enforces it; a file that was restored, copied or damaged"
        " falls silent.",
        "Which questions a device answers, and when, does not depend on what was recorded; a device without events"
        " answers like any other.",
        f"A report has no field for a person. The collector stores counts of each symbol by question, {survey.epoch}"
        " and cohorts, which are plain text, and of each batch its random id with the answer it got and the day on"
        f" which both go, until its {survey.epoch} can be counted no more (one to two {survey.epoch}s); no address,"
        " agent, time or order.",
        "The proxy in front of the collector, which ends TLS, logs addresses and times unless it is told not to. What"
        f" it logs, and how long that is kept: {OPEN}",
        f"No estimate is published from fewer than {counted(survey.min_reports, 'report')}.",
    ]


def _retention(survey: Survey) -> list[str]:
    last = survey.epoch.label(survey.ends)
    return [
        f"On the device: events for at most {counted(survey.longest_window, 'day')}; randomized answers until they are"
        f" delivered or the next {survey.epoch} ends"
        f"{'; with permanent memory also every answer, until the survey ends' if survey.permanent else ''}.",
        f"At the collector: reports of a {survey.epoch} are accepted until the end of the next one, and their counts"
        f" kept for {counted(survey.retention_days, 'day')} after that; the last of them are deleted on"
        f" {survey.erased_on(last)}.",
        f"Published results: {OPEN}",
    ]


def _risks(survey: Survey) -> list[tuple[str, str, str]]:
    whole, each = survey.lifetime_epsilon, survey.privacy.questions_per_device
    number = groups(survey)
    worst = max(survey.asked, key=_forgery)
    rows = [
        (
            "Someone keeps all reports of one device",
            _belief(whole),
            f"{_together(survey)}; enforced on the device",
        ),
        (
            f"Someone sees one delivery: {counted(each, 'report')}",
            _belief(survey.delivery_epsilon),
            f"epsilon {survey.delivery_epsilon:g} of one delivery",
        ),
        (
            "Later versions, or other surveys, ask the same device",
            "each adds its own epsilon over all its reports",
            "the app's max_lifetime_epsilon, enforced on the device for all of them together, if the app sets one",
        ),
        (
            "One person has several devices, or installs the app anew",
            f"each adds epsilon {whole:g}",
            "no report names a person or a device; nothing bounds the sum",
        ),
    ]
    if tells_changes(survey):
        rows.append(
            (
                "Whoever can link a device's reports sees whether and when its answer changed",
                f"not bounded by epsilon; at most {counted(survey.charges - 1, 'new answer')} can follow the first",
                "the collector keeps no address, time or order; fresh memory has no such risk",
            )
        )
    return [
        *rows,
        (
            "Someone tells which reports come from the same device",
            f"{number:,} groups of devices, told apart by what lasts: questions, phase and cohorts"
            if number > 1
            else "one group: no question, phase or cohort tells devices apart",
            "what is drawn does not depend on the customer; in a group of few devices, as with a rare cohort, all"
            " reports of one may be known for its own",
        ),
        (
            "Cohorts, in the clear, single a customer out",
            counted(len(survey.all_cohorts()), "combination") if survey.cohorts else "none: the survey has no cohorts",
            "declared beforehand, set by the app and never from what was recorded",
        ),
        (
            "The network sees that a device takes part, and how long its requests are",
            "every device that agreed; the length differs with question, cohort and the digits of the symbol",
            "number and schedule of its requests are drawn by chance, never from what the customer did, though a"
            " request whose time has come waits for the app to run. TLS hides no length: who measures it may tell"
            " question and cohort, where their names are not equally long",
        ),
        (
            "Forged reports shift a result",
            f"{_forgery(worst):.1f} points for each percent of forged reports ({worst.id})",
            "the number of honest devices; what the collector admits",
        ),
        (
            "The device itself is seized",
            "what was recorded in the window is on it",
            "the app's and system's protection",
        ),
    ]


def _belief(epsilon: float) -> str:
    return f"who was {PRIOR:.0%} sure of a segment is {sureness(largest_belief(PRIOR, epsilon))}"


def _forgery(question: Question) -> float:
    """The largest shift of a share, per share of forged reports that all aim at one segment."""
    channel = question.mechanism.channel
    return float(max(1 - channel.q, channel.q) / channel.gain)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *(tuple(map(_text, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {_text(line)}" for line in lines)


def _text(value: str) -> str:
    """A text of the survey as Markdown shows it: on one line, and nothing in it taken for markup."""
    return re.sub(r"([\\|<\[*~&])", r"\\\1", " ".join(value.split()))


@click.command("card")
@click.argument("file")
@click.option("--output", type=click.Path(path_type=Path), help="Write it to this new file instead of printing it.")
def write_card(file: str, output: Path | None) -> None:
    """Write the document that goes with the survey in FILE, in Markdown, for a privacy officer to complete."""
    text = card(Survey.load(file))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise click.ClickException(
            f"{output} is there already; what was filled in by hand is not overwritten"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {output}", err=True)
