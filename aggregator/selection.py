"""Selections: which questions, epochs and groups of customers of a survey are estimated, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.row import Row
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.clock import utc_day, utc_today
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

Group = tuple[str, ...]  # one value of each requested cohort; () is all customers
RANGE = ":"  # between the first and the last epoch of a range


@dataclass(frozen=True)
class Series:
    """The tallies of one question and one group by epoch, in the order of time. A single epoch is also a series.

    template: a row without figures that names the survey, the question, the epochs and the group.
    """

    template: Row
    question: Question
    tallies: Mapping[str, Tally]

    @cached_property
    def tally(self) -> Tally:
        """The reports of all epochs together."""
        return Tally.merge(self.tallies.values())


@dataclass(frozen=True)
class Selection:
    """What is estimated, from the tally of every cell of a survey.

    tallies: from `Database.tallies`. by: names of cohorts. Every combination of their values with reports is a group.
    Without names, all customers are one group. questions, epochs: what to show; None selects all questions, and all
    epochs with reports. An epoch may be a range like 2026-W45:2026-W48. today: the day in UTC on which the tallies were
    read; None: the current day. Raises ArgumentError for an unknown cohort or question, and for an epoch or a range
    without reports.
    """

    survey: Survey
    tallies: Mapping[Cell, Tally] = field(repr=False)
    by: Iterable[str] = ()
    confidence: float = 0.95
    population: Population = "customers"
    questions: Iterable[str] | None = None
    epochs: Iterable[str] | None = None
    today: date | None = None

    def __post_init__(self) -> None:
        for name, given in (("by", self.by), ("question", self.questions), ("epoch", self.epochs)):
            if isinstance(given, str):  # a string would be read letter by letter
                raise ArgumentError(name, f"must be a list of names, got the string {given!r}")
        for name in self.cohort_names:
            if name not in self.survey.cohorts:
                known = did_you_mean(name, self.survey.cohorts) or "; this survey declares no cohorts"
                raise ArgumentError("by", f"must be a cohort of {self.survey.name}, got {name!r}{known}")
        for id in self.questions or ():
            self.asked_question(id, "question")
        for epoch in self.epochs or ():
            self.epochs_of(epoch, "epoch")

    @cached_property
    def cohort_names(self) -> list[str]:
        """The names of the cohorts in alphabetical order, because a stored definition does not keep their order."""
        return sorted(set(self.by))

    @cached_property
    def selected_questions(self) -> list[Question]:
        """The selected questions in the order of the survey."""
        requested = None if self.questions is None else set(self.questions)
        return [question for question in self.survey.asked if requested is None or question.id in requested]

    def asked_question(self, id: str, argument: str) -> Question:
        """Return the question with this id.

        Raises ArgumentError for `argument` if devices do not answer such a question.
        """
        asked = {question.id: question for question in self.survey.asked}
        if id in asked:
            return asked[id]
        if id in {question.id for question in self.survey.questions}:
            known = ", ".join(sorted(asked))
            raise ArgumentError(
                argument,
                f"must be a question with reports of its own, got {id!r}, which is only part of a crossed question;"
                f" known: {known}",
            )
        raise ArgumentError(argument, f"must be a question of {self.survey.name}, got {id!r}{did_you_mean(id, asked)}")

    @cached_property
    def known_epochs(self) -> list[str]:
        """The epochs with reports, in the order of time."""
        return sorted({cell.epoch for cell in self.tallies}, key=self.survey.epoch.first_day)

    def epochs_of(self, name: str, argument: str) -> list[str]:
        """Return the epochs with reports that an epoch or a range names.

        Raises ArgumentError for `argument` if there is none.
        """
        first, colon, last = name.partition(RANGE)
        if not colon:
            if name not in self.known_epochs:
                known = did_you_mean(name, self.known_epochs)
                raise ArgumentError(argument, f"must be an epoch with reports, got {name!r}{known}")
            return [name]
        try:
            begin, end = self.survey.epoch.first_day(first), self.survey.epoch.first_day(last)
        except ValueError as error:
            raise ArgumentError(argument, f"must be a range of epochs: {error}") from None
        found = [epoch for epoch in self.known_epochs if begin <= self.survey.epoch.first_day(epoch) <= end]
        if not found:
            raise ArgumentError(argument, f"must be a range with reports, got {name!r}")
        return found

    @cached_property
    def selected_epochs(self) -> list[str]:
        """The selected epochs in the order of time."""
        if self.epochs is None:
            return self.known_epochs
        requested = {epoch for name in self.epochs for epoch in self.epochs_of(name, "epoch")}
        return [epoch for epoch in self.known_epochs if epoch in requested]

    def cells(self) -> Iterator[Series]:
        """Return one series of a single epoch for every question, epoch and group with reports."""
        for question in self.selected_questions:
            groups = self.groups(question, self.selected_epochs)
            for epoch in self.selected_epochs:
                for group, tallies in groups.items():
                    if epoch in tallies:
                        yield self.one_series(question, group, {epoch: tallies[epoch]})

    def series(self) -> Iterator[Series]:
        """Return one series, with its tallies by epoch, for every question and group with reports."""
        for question in self.selected_questions:
            for group, tallies in self.groups(question, self.selected_epochs).items():
                yield self.one_series(question, group, tallies)

    def groups(self, question: Question, epochs: Sequence[str]) -> dict[Group, dict[str, Tally]]:
        """Return the tallies of a question by group and epoch.

        Groups are in the order of the survey, and epochs in the order of time.
        """
        found: dict[Group, dict[str, list[Tally]]] = {}
        for cell, tally in self.tallies.items():
            if cell.question == question.id and tally.n and cell.epoch in epochs:
                group = tuple(cell.cohort_values[name] for name in self.cohort_names)
                found.setdefault(group, {}).setdefault(cell.epoch, []).append(tally)
        return {
            group: {epoch: Tally.merge(found[group][epoch]) for epoch in epochs if epoch in found[group]}
            for group in sorted(found, key=self._position)
        }

    def _position(self, group: Group) -> tuple[int, ...]:
        return tuple(
            self.survey.cohorts[name].index(value) for name, value in zip(self.cohort_names, group, strict=True)
        )

    def one_series(self, question: Question, group: Group, tallies: Mapping[str, Tally]) -> Series:
        """Return the series of these tallies, with the row to which figures are added."""
        epochs = list(tallies)
        now = utc_today() if self.today is None else utc_day(self.today)
        template = Row(
            self.survey.id,
            self.survey.version,
            question.id,
            epochs[0] if len(epochs) == 1 else f"{epochs[0]}{RANGE}{epochs[-1]}",
            cohort=dict(zip(self.cohort_names, group, strict=True)),
            segment="",
            kind="share",
            reports=sum(tally.n for tally in tallies.values()),
            confidence=self.confidence,
            population=self.population,
            complete=all(now > self.survey.accepted_until(self.survey.epoch.first_day(epoch)) for epoch in epochs),
        )
        return Series(template, question, tallies)
