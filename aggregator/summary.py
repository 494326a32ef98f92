"""The summary of a survey: one row for every question, epoch, group of customers and segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from hushtally.aggregator.errors import ArgumentError, NotEstimableError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.clock import utc_day, utc_today
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

Group = tuple[str, ...]  # one value of each requested cohort; () is all customers


@dataclass(frozen=True)
class Row:
    """One share with its uncertainty; the fields are the stable keys of the JSON and CSV formats.

    cohort: the cohort values of the group, {} for all customers. low..high: contains the true share of one segment with
    the confidence of the row. For segments that were picked for their estimates, use
    simultaneous_low..simultaneous_high: low..high misses the true share of these segments more often. detected: whether
    the share is distinguishable from zero, because the lower end of the one-sided interval of the same confidence is
    above zero. With rappor, low..high has this confidence for the segments with `detected` too, but not for the
    segments with low > 0. complete: no more reports of the epoch are accepted. A row with published = False has the
    number of reports and a reason, but no shares.
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
    """The rows by question, epoch, cohort and segment, in the order of the survey; cohorts are ordered by name.

    tallies: the tally of every cell of the survey, from `Database.tallies`. by: names of cohorts; every combination of
    their values that has reports is a group. Without names, all customers are one group. questions, epochs: only
    these; None: all questions, and all epochs with reports. today: the day in UTC on which the tallies were read, or a
    datetime with any time zone; None: the current day. Raises ArgumentError for an unknown cohort or question, and for
    an epoch without reports.
    """
    for name, given in (("by", by), ("question", questions), ("epoch", epochs)):
        if isinstance(given, str):  # a string would be read letter by letter
            raise ArgumentError(name, f"must be a list of names, got the string {given!r}")
    names = _cohort_names(survey, by)
    selected = _questions(survey, questions)
    included = _epochs(tallies, epochs)
    now = utc_today() if today is None else utc_day(today)
    rows: list[Row] = []
    for question in selected:
        groups = _groups(survey, question, tallies, names)
        for epoch, group in sorted(groups, key=lambda key: _sort_key(survey, names, *key)):
            if epoch in included:
                tally = Tally.merge(groups[epoch, group])
                template = Row(
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
                rows += _rows(template, question, tally, survey.min_reports)
    return rows


def _rows(template: Row, question: Question, tally: Tally, min_reports: int) -> Iterator[Row]:
    """The rows of one group; they differ from the template in the segment and its figures."""
    try:
        if tally.n < min_reports:
            raise NotEstimableError(f"fewer than {min_reports:,} reports: {tally.n:,}")
        found = estimate(question, tally, template.confidence, template.population)
    except NotEstimableError as error:
        yield from (replace(template, segment=segment, reason=str(error)) for segment in question.segments)
        return
    for index, segment in enumerate(question.segments):
        yield replace(
            template,
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


def _sort_key(survey: Survey, names: Sequence[str], epoch: str, group: Group) -> tuple[object, ...]:
    values = (survey.cohorts[name].index(value) for name, value in zip(names, group, strict=True))
    return (survey.epoch.first_day(epoch), *values)


def _cohort_names(survey: Survey, by: Iterable[str]) -> list[str]:
    names = sorted(set(by))  # a stored definition does not have the order of the cohorts
    for name in names:
        if name not in survey.cohorts:
            known = did_you_mean(name, survey.cohorts) or "; this survey declares no cohorts"
            raise ArgumentError("by", f"must be a cohort of {survey.name}, got {name!r}{known}")
    return names


def _questions(survey: Survey, questions: Iterable[str] | None) -> list[Question]:
    if questions is None:
        return list(survey.asked)
    requested = set(questions)
    asked = {question.id for question in survey.asked}
    for id in sorted(requested - asked):
        if id in {question.id for question in survey.questions}:
            known = ", ".join(sorted(asked))
            raise ArgumentError(
                "question",
                f"must be a question with reports of its own, got {id!r}, which is only part of a crossed question;"
                f" known: {known}",
            )
        raise ArgumentError("question", f"must be a question of {survey.name}, got {id!r}{did_you_mean(id, asked)}")
    return [question for question in survey.asked if question.id in requested]


def _epochs(tallies: Mapping[Cell, Tally], epochs: Iterable[str] | None) -> set[str]:
    known = {cell.epoch for cell in tallies}
    if epochs is None:
        return known
    requested = set(epochs)
    for epoch in sorted(requested - known):
        raise ArgumentError("epoch", f"must be an epoch with reports, got {epoch!r}{did_you_mean(epoch, known)}")
    return requested
