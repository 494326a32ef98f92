"""What is published of a survey: one row for every segment, question, epoch and group of customers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from hushtally.aggregator.errors import ArgumentError, NotEstimableError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

Group = tuple[str, ...]  # one value of each cohort asked for; () is all customers


@dataclass(frozen=True)
class Row:
    """One share with its uncertainty; the fields are the stable keys of the JSON and CSV formats.

    cohort: the values that the group has in common, {} for all customers. low..high holds the share of one segment with
    the row's confidence; of segments picked for their high estimates fewer do, and simultaneous_low..simultaneous_high
    holds for whichever are picked. detected: the share is told from zero, as the lower end of the one-sided interval of
    the row's confidence is above it; of rappor low..high also holds those `detected`, at the same confidence, not of
    those whose low is above 0. complete: no more reports of the epoch can come. A row that is not published has the
    number of reports and its reason, no shares.
    """

    survey: str
    version: int
    question: str
    epoch: str
    cohort: Mapping[str, str]
    segment: str
    kind: str
    reports: int
    estimate: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    simultaneous_low: float | None = None
    simultaneous_high: float | None = None
    consistent: float | None = None
    published: bool = False
    reason: str | None = None
    confidence: float = 0.95
    population: Population = "customers"
    detected: bool | None = None
    complete: bool = False


def summarize(
    survey: Survey,
    tallies: Mapping[Cell, Tally],
    *,
    by: Iterable[str] = (),
    confidence: float = 0.95,
    population: Population = "customers",
    questions: Iterable[str] | None = None,
    epochs: Iterable[str] | None = None,
    today: date | None = None,
) -> list[Row]:
    """The rows in a fixed order: question, epoch, cohort, segment, each as the survey has it, cohorts by their names.

    tallies: by cell, as `Database.tallies` reads them. by: names of cohorts, one group for every combination of their
    values that has reports; none: all customers together. questions, epochs: only these; None: all that have reports.
    today: the day in UTC on which the tallies were read; None: this one. ArgumentError for one that is not there.
    """
    for name, given in (("by", by), ("question", questions), ("epoch", epochs)):
        if isinstance(given, str):  # it would be read letter by letter
            raise ArgumentError(name, f"must be several names, got the text {given!r}")
    names = _names(survey, by)
    asked = _questions(survey, questions)
    wanted = _epochs(tallies, epochs)
    now = utc_today() if today is None else today
    rows: list[Row] = []
    for question in asked:
        groups = _groups(survey, question, tallies, names)
        for epoch, group in sorted(groups, key=lambda key: _place(survey, names, *key)):
            if epoch in wanted:
                tally = Tally.merge(groups[epoch, group])
                about = Row(
                    survey.id,
                    survey.version,
                    question.id,
                    epoch,
                    cohort=dict(zip(names, group, strict=True)),
                    segment="",
                    kind="share",
                    reports=tally.n,
                    confidence=confidence,
                    population=population,
                    complete=now > survey.accepted_until(survey.epoch.first_day(epoch)),
                )
                rows += _rows(about, question, tally, survey.min_reports)
    return rows


def _rows(about: Row, question: Question, tally: Tally, least: int) -> Iterator[Row]:
    """The rows of one group, which have all but the segment and its figures in common."""
    try:
        if tally.n < least:
            raise NotEstimableError(f"fewer than {least:,} reports: {tally.n:,}")
        found = estimate(question, tally, about.confidence, about.population)
    except NotEstimableError as error:
        yield from (replace(about, segment=segment, reason=str(error)) for segment in question.segments)
        return
    for index, segment in enumerate(question.segments):
        yield replace(
            about,
            segment=segment,
            estimate=float(found.estimate[index]),
            standard_error=float(found.standard_error[index]),
            low=float(found.low[index]),
            high=float(found.high[index]),
            simultaneous_low=float(found.simultaneous_low[index]),
            simultaneous_high=float(found.simultaneous_high[index]),
            consistent=float(found.consistent[index]),
            detected=bool(found.detected[index]),
            published=True,
        )


def _groups(
    survey: Survey, question: Question, tallies: Mapping[Cell, Tally], names: Sequence[str]
) -> dict[tuple[str, Group], list[Tally]]:
    groups: dict[tuple[str, Group], list[Tally]] = {}
    for cell, tally in tallies.items():
        if cell.question == question.id and tally.n:
            group = tuple(cell.cohort_values[name] for name in names)
            groups.setdefault((cell.epoch, group), []).append(tally)
    return groups


def _place(survey: Survey, names: Sequence[str], epoch: str, group: Group) -> tuple[object, ...]:
    values = (survey.cohorts[name].index(value) for name, value in zip(names, group, strict=True))
    return (survey.epoch.first_day(epoch), *values)


def _names(survey: Survey, by: Iterable[str]) -> list[str]:
    names = sorted(set(by))  # a definition that was stored has lost the order of its cohorts
    for name in names:
        if name not in survey.cohorts:
            known = did_you_mean(name, survey.cohorts) or "; it declares none"
            raise ArgumentError("by", f"must be a cohort of {survey.name}, got {name!r}{known}")
    return names


def _questions(survey: Survey, questions: Iterable[str] | None) -> list[Question]:
    if questions is None:
        return list(survey.asked)
    wanted = set(questions)
    asked = {question.id for question in survey.asked}
    for id in sorted(wanted - asked):
        if id in {question.id for question in survey.questions}:
            known = ", ".join(sorted(asked))
            raise ArgumentError("question", f"must be asked by itself, got {id!r}, only crossed; known: {known}")
        raise ArgumentError("question", f"must be a question of {survey.name}, got {id!r}{did_you_mean(id, asked)}")
    return [question for question in survey.asked if question.id in wanted]


def _epochs(tallies: Mapping[Cell, Tally], epochs: Iterable[str] | None) -> set[str]:
    known = {cell.epoch for cell in tallies}
    if epochs is None:
        return known
    wanted = set(epochs)
    for epoch in sorted(wanted - known):
        raise ArgumentError("epoch", f"must have reports, got {epoch!r}{did_you_mean(epoch, known)}")
    return wanted
