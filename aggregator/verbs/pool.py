"""`hushtally estimate SURVEY pool`: the shares of several epochs, or of several groups of customers, together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.errors import ArgumentError, NotEstimableError
from hushtally.aggregator.publishing import published, require_possible
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Group, Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.pooling import pool_epochs, pool_groups
from hushtally.aggregator.tally import Tally
from hushtally.aggregator.verbs.segment_rows import segment_rows
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.survey import Survey


def epoch_rows(selection: Selection) -> list[Row]:
    """Return one row for every question, group and segment: the mean over the selected epochs, weighted by reports."""
    rows = partial(_of_epochs, survey=selection.survey)
    return [
        row
        for series in selection.series()
        for row in published(series, selection.survey.min_reports, series.question.segments, "share", rows)
    ]


def _of_epochs(series: Series, survey: Survey) -> Iterator[Row]:
    yield from segment_rows(series, pool_epochs(series.question, survey, series.tallies, series.template.population))


def group_rows(selection: Selection, cohort: str, customers: Mapping[str, float]) -> list[Row]:
    """Return one row for every question, epoch, group and segment: the groups of a cohort, weighted by customers.

    customers: how many customers each value of the cohort has. Raises ArgumentError for an unknown cohort or value, if
    a value has no number, and if the cohort is also in `by`.
    """
    known = selection.survey.cohorts
    if cohort not in known or cohort in selection.cohort_names:
        others = [name for name in known if name not in selection.cohort_names]
        hint = did_you_mean(cohort, others)
        raise ArgumentError("customers", f"must name a cohort that is not in --by, got {cohort!r}{hint}")
    for value in {**dict.fromkeys(known[cohort]), **customers}:
        if value not in known[cohort]:
            hint = did_you_mean(value, known[cohort])
            raise ArgumentError("customers", f"must name a value of {cohort}, got {value!r}{hint}")
        if value not in customers:
            raise ArgumentError("customers", f"must be given for every value of {cohort}, but {value!r} has none")
    fine = replace(selection, by=[*selection.cohort_names, cohort])
    place = fine.cohort_names.index(cohort)
    rows: list[Row] = []
    for question in selection.selected_questions:
        parts: dict[tuple[str, Group], dict[str, Tally]] = {}
        for group, tallies in fine.groups(question, selection.selected_epochs).items():
            for epoch, tally in tallies.items():
                rest = group[:place] + group[place + 1 :]
                parts.setdefault((epoch, rest), {})[group[place]] = tally
        groups = selection.groups(question, selection.selected_epochs)
        for epoch in selection.selected_epochs:
            for group in groups:
                of_values = parts.get((epoch, group))
                if of_values is None:
                    continue
                series = selection.one_series(question, group, {epoch: Tally.merge(of_values.values())})
                series = replace(series, template=replace(series.template, pooling="customers"))
                function = partial(_of_groups, of_values=of_values, customers=customers)
                rows += published(series, selection.survey.min_reports, question.segments, "share", function)
    return rows


def _of_groups(series: Series, of_values: Mapping[str, Tally], customers: Mapping[str, float]) -> Iterator[Row]:
    for value, number in customers.items():
        if number and value not in of_values:
            raise NotEstimableError(f"no reports of {value}, which has customers")
    for tally in of_values.values():
        require_possible(series.question, tally)
    tallies = [of_values[value] for value in customers if customers[value]]
    weights = [number for number in customers.values() if number]
    yield from segment_rows(series, pool_groups(series.question, tallies, weights, series.template.population))


def _customers(text: str) -> tuple[str, str, float]:
    """Parse a cohort, its value, and a number of customers from COHORT=VALUE=NUMBER."""
    name, _, number = text.rpartition("=")
    cohort, equals, value = name.partition("=")
    try:
        customers = float(number)
    except ValueError:
        customers = math.nan
    if not (equals and 0 <= customers < math.inf):
        raise ArgumentError("customers", f"must be like platform=web=40000, got {text!r}")
    return cohort, value, customers


@statistic("pool")
@click.option(
    "--customers",
    metavar="COHORT=VALUE=NUMBER",
    multiple=True,
    help="How many customers a value of a cohort has, for example platform=web=40000. Repeat it for every value.",
)
def command(selection: Selection, customers: tuple[str, ...]) -> list[Row]:
    """Estimate the shares of several epochs together, or of groups of customers by their true sizes.

    Without --customers: the mean over the selected epochs, weighted by reports. With --customers: in every epoch, the
    share among all customers, which weights each group by its customers and not by its reports.
    """
    if not customers:
        return epoch_rows(selection)
    stated = [_customers(text) for text in customers]
    cohorts = {cohort for cohort, _, _ in stated}
    if len(cohorts) != 1:
        raise ArgumentError("customers", f"must name one cohort, got {', '.join(sorted(cohorts))}")
    return group_rows(selection, stated[0][0], {value: number for _, value, number in stated})
