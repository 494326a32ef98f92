"""Estimates are unbiased, have the right standard error, and come with consistent shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hushtally.aggregator.consistency import consistent
from hushtally.aggregator.errors import ArgumentError, EstimateError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.regression import regress
from hushtally.aggregator.summary import summarize
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Affine, Direct, Mechanism, Projective, Rappor, Subset, Weights
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey

W = Weights.of(1.0)
EASTERNMOST, WESTERNMOST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
DESIGNS: list[Design] = [Direct(5, W), Subset(6, W, 2), Affine(5, W, 7, 3), Projective(7, W, 3, 3)]


def likelihoods(mechanism: Design) -> np.ndarray:
    """The probability of every symbol given every value; shape (domain, symbols)."""
    values, symbols = range(mechanism.domain), range(mechanism.symbols)
    tilt = np.array([[mechanism.weights.near if mechanism.supports(s, v) else mechanism.weights.far for s in symbols]
                     for v in values], dtype=float)  # fmt: skip
    return tilt / tilt.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("mechanism", DESIGNS, ids=str)
def test_the_mean_estimate_is_the_true_share(mechanism: Design) -> None:
    """By enumeration: one report of every symbol, weighted by its likelihood under every true value."""
    single = [mechanism.channel.debias(support_counts(mechanism, Tally.of([s])), 1) for s in range(mechanism.symbols)]
    assert likelihoods(mechanism) @ np.array(single) == pytest.approx(np.eye(mechanism.domain), abs=1e-9)


@pytest.mark.parametrize("population", ["customers", "respondents"])
@pytest.mark.parametrize("mechanism", DESIGNS, ids=str)
def test_the_standard_error_is_that_of_repeated_surveys(mechanism: Design, population: str) -> None:
    """400 surveys of 3,000 reports (fixed seed): the standard deviation of the estimates is within 16% of the standard
    error. The standard deviation is known to 3.5%, so 16% is 4.5 of these: fails by chance in about 1 of 3,000 runs."""
    rng = np.random.default_rng(4)
    truth = np.full(mechanism.domain, 0.5 / (mechanism.domain - 1))
    truth[0] = 0.5
    odds = likelihoods(mechanism)
    estimates, errors = [], []
    for _ in range(400):
        if population == "customers":
            counts = rng.multinomial(3000, truth @ odds)
        else:
            counts = sum(rng.multinomial(round(3000 * share), row) for share, row in zip(truth, odds, strict=True))
        tally = Tally.of(np.arange(mechanism.symbols), counts)
        found = estimate(mechanism, tally, population=population)  # type: ignore[arg-type]
        estimates.append(found.estimate)
        errors.append(found.standard_error)
    assert np.std(estimates, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.16)


@pytest.mark.parametrize("population", ["customers", "respondents"])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_detected_is_the_one_sided_interval_above_zero(confidence: float, population: Population) -> None:
    """A share may be detected although its two-sided interval reaches zero. With rappor, the regression decides."""
    tally = Tally.of({0: 9_000, 1: 2_210, 2: 2_580, 3: 2_210})
    found = estimate(Direct(4, Weights.of(1.2)), tally, confidence, population)
    wider = estimate(Direct(4, Weights.of(1.2)), tally, max(2 * confidence - 1, 0.5), population)
    assert found.detected.tolist() == [True, False, confidence < 0.95, False]
    assert found.low[2] < 0 or confidence == 0.5
    if confidence > 0.75:
        assert found.detected.tolist() == (wider.low > 0).tolist()
    rappor = Rappor(3, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    bits = Tally.of(np.random.default_rng(2).integers(0, rappor.symbols, 2000))
    found, regression = estimate(rappor, bits, confidence, population), regress(rappor, bits, population)
    assert found.detected.tolist() == regression.detected(confidence).tolist()


def test_an_estimate_is_raw_and_lies_in_its_intervals() -> None:
    found = estimate(Direct(4, W), Tally.of({0: 990, 1: 10}))
    assert found.n == 1000
    assert found.estimate[2] < 0 < found.standard_error[2]
    assert found.estimate[0] > 1
    assert (found.low <= found.estimate).all()
    assert (found.estimate <= found.high).all()
    assert (found.simultaneous_low <= found.low).all()
    assert (found.high < found.simultaneous_high).all()
    assert found.consistent.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "confidence must be between 0.5 and 0.9999, got 1.0"),
        ({"confidence": float("nan")}, "confidence must be between 0.5 and 0.9999, got nan"),
        ({"population": "everyone"}, "population must be one of customers, respondents, got 'everyone'"),
        ({"tally": Tally.of({})}, "an estimate needs at least one report"),
    ],
)
def test_an_invalid_argument_is_an_error(options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"question": Direct(4, W), "tally": Tally.of([1]), **options}
    with pytest.raises(EstimateError, match=message):
        estimate(**arguments)  # type: ignore[arg-type]


def test_consistent_shares_are_the_closest_point_of_the_simplex() -> None:
    """They lie on the simplex, are a fixed point of `consistent`, and are closer than 200 random points."""
    rng = np.random.default_rng(8)
    for _ in range(50):
        raw = rng.normal(0.2, 0.4, rng.integers(1, 9))
        found = consistent(raw)
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1)
        assert consistent(found) == pytest.approx(found)
        others = rng.dirichlet(np.ones(raw.size), 200)
        assert np.sum((found - raw) ** 2) <= np.sum((others - raw) ** 2, axis=1).min() + 1e-12
        order = np.argsort(raw)
        assert (np.diff(found[order]) >= -1e-15).all()


def test_a_summary_by_one_cohort_merges_the_other_cohorts(survey: Survey, tallies: dict[Cell, Tally]) -> None:
    rows = summarize(survey, tallies, by=["plan"], questions=["frequency"], epochs=["2026-W45"])
    assert [(dict(row.cohort), row.segment, row.reports) for row in rows] == [
        ({"plan": plan}, segment, reports)
        for plan, reports in (("free", 1000), ("paid", 1200))
        for segment in ("none", "once", "heavy")
    ]
    free = Tally.merge(
        tally
        for cell, tally in tallies.items()
        if (cell.question, cell.epoch) == ("frequency", "2026-W45") and cell.cohort_values["plan"] == "free"
    )
    found = estimate(survey.question("frequency"), free)
    assert [row.estimate for row in rows[:3]] == found.estimate.tolist()
    assert sum(row.consistent or 0 for row in rows[:3]) == pytest.approx(1)


def test_the_order_of_a_summary_is_fixed(survey: Survey, tallies: dict[Cell, Tally]) -> None:
    reversed_tallies = dict(reversed(tallies.items()))
    assert summarize(survey, tallies, by=["platform", "plan"]) == summarize(
        survey, reversed_tallies, by=["plan", "platform"]
    )
    assert [row.epoch for row in summarize(survey, tallies)][:6] == ["2026-W45"] * 3 + ["2026-W46"] * 3


def test_a_row_states_whether_its_epoch_is_complete(survey: Survey, tallies: dict[Cell, Tally]) -> None:
    """Reports of a week are accepted until the end of the next week. Unpublished rows state it too."""
    for today, complete in (
        (date(2026, 11, 15), {"2026-W45": False, "2026-W46": False}),
        (date(2026, 11, 16), {"2026-W45": True, "2026-W46": False}),
        (date(2026, 11, 23), {"2026-W45": True, "2026-W46": True}),
        # the same days in UTC, read where it is another day
        (datetime(2026, 11, 16, 13, tzinfo=EASTERNMOST), {"2026-W45": False, "2026-W46": False}),
        (datetime(2026, 11, 15, 13, tzinfo=WESTERNMOST), {"2026-W45": True, "2026-W46": False}),
    ):
        rows = summarize(survey, tallies, today=today)
        assert {row.published for row in rows} == {True, False}
        assert {(row.epoch, row.complete) for row in rows} == set(complete.items())
    old = summarize(survey, {replace(cell, epoch="2020-W01"): tally for cell, tally in tallies.items()})
    assert {row.complete for row in old} == {True}


def test_a_row_states_whether_its_share_is_distinguishable_from_zero(
    survey: Survey, tallies: dict[Cell, Tally]
) -> None:
    rows = summarize(survey, tallies, questions=["frequency"])
    first = {row.segment: row.detected for row in rows if row.published}
    merged = Tally.merge(
        tally for cell, tally in tallies.items() if (cell.question, cell.epoch) == ("frequency", "2026-W45")
    )
    found = estimate(survey.question("frequency"), merged)
    assert list(first.values()) == found.detected.tolist()
    assert {row.detected for row in rows if not row.published} == {None}


def test_a_survey_without_cohorts_has_no_groups(survey_text: str) -> None:
    without = survey_text.replace('[cohorts]\nplatform = ["web", "ios"]\nplan = ["free", "paid"]\n', "")
    with pytest.raises(
        ArgumentError, match="by must be a cohort of shop v1, got 'plan'; this survey declares no cohorts"
    ):
        summarize(Survey.parse(without), {}, by=["plan"])


@pytest.mark.parametrize(("argument", "name"), [("by", "by"), ("questions", "question"), ("epochs", "epoch")])
def test_a_string_is_not_a_list_of_names(survey: Survey, argument: str, name: str) -> None:
    arguments: dict[str, Any] = {argument: "plan"}
    with pytest.raises(ArgumentError, match=f"^{name} must be a list of names, got the string 'plan'$"):
        summarize(survey, {}, **arguments)


def test_an_estimate_takes_a_question_or_its_mechanism(survey: Survey) -> None:
    question = survey.question("frequency")
    mechanism: Mechanism = question.mechanism
    tally = Tally.of([0, 1, 1, 2])
    assert estimate(question, tally).estimate.tolist() == estimate(mechanism, tally).estimate.tolist()
