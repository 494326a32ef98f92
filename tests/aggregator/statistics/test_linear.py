"""Linear statistics: unbiased, with the standard error of the whole table and not of single shares."""

from __future__ import annotations

import doctest
import pkgutil
from fractions import Fraction
from importlib import import_module
from itertools import product

import numpy as np
import pytest

import hushtally.aggregator.statistics as package
from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.statistics.linear import linear
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.support_matrix import moments, support_matrix
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import (
    Affine,
    Design,
    Direct,
    Mechanism,
    Permanent,
    Projective,
    Rappor,
    Subset,
    Weights,
    build,
)
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_tally

W = Weights.of(1.0)
RAPPOR = Rappor(5, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
MECHANISMS: list[Mechanism] = [
    Direct(5, W),
    Subset(6, W, 2),
    Affine(5, W, 7, 3),
    Affine(6, W, 3, 1, 2),
    Projective(7, W, 3, 3),
    build("oue", {}, 5, 1.0, None),
    Permanent.of(Subset(6, W, 2), 2.0),
]
SLOW = [pytest.param(mechanism, marks=pytest.mark.slow) for mechanism in (MECHANISMS[5], RAPPOR)]


@pytest.mark.parametrize("module", [module.name for module in pkgutil.iter_modules(package.__path__)])
def test_the_example_of_every_statistic_runs(module: str) -> None:
    """Every module but the two that only read tables has an example in a docstring."""
    found = doctest.testmod(import_module(f"{package.__name__}.{module}"))
    assert found.failed == 0
    assert found.attempted or module in {"share_table", "epoch_shares"}


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)
def test_the_support_matrix_is_what_the_mechanism_supports(mechanism: Mechanism) -> None:
    symbols, values = np.arange(mechanism.symbols), np.arange(mechanism.domain)
    expected = [[mechanism.supports(s, v) for v in values.tolist()] for s in symbols.tolist()]
    assert support_matrix(mechanism, symbols, values).tolist() == expected


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)
def test_moments_are_those_of_the_single_reports(mechanism: Mechanism) -> None:
    """The mean and the second moments over a tally equal those over its reports one by one."""
    random = np.random.default_rng(1)
    reports = random.integers(0, mechanism.symbols, 300)
    weights = random.normal(size=(3, mechanism.domain))
    scores = support_matrix(mechanism, reports, np.arange(mechanism.domain)) @ weights.T
    mean, second = moments(mechanism, Tally.of(reports), weights)
    assert mean == pytest.approx(scores.mean(axis=0))
    assert second == pytest.approx(scores.T @ scores / 300)


@pytest.mark.parametrize("population", ["customers", "respondents"])
@pytest.mark.parametrize("mechanism", [*MECHANISMS[:5], MECHANISMS[6], *SLOW], ids=str)
def test_the_interval_contains_the_true_sum_as_often_as_stated(mechanism: Mechanism, population: Population) -> None:
    """300 surveys of 2,000 reports, three sums each. 95% of the intervals contain the truth: the mean of 900 is
    within .925 to .975, which is 2 standard deviations if the three sums were one: fails by chance in 1 of 20 seeds;
    the seed is fixed. OUE and RAPPOR are drawn one by one: 150 surveys of 1,000 reports, within .90 to .99."""
    slow = not isinstance(mechanism, Design | Permanent)
    runs, n, low, high = (150, 1_000, 0.9, 0.99) if slow else (300, 2_000, 0.925, 0.975)
    random = np.random.default_rng(3)
    truth = np.arange(1, mechanism.domain + 1) / sum(range(1, mechanism.domain + 1))
    weights = random.normal(size=(3, mechanism.domain))
    inside = []
    for _ in range(runs):
        held = random.multinomial(n, truth)
        whose = truth if population == "customers" else held / n
        found = linear(mechanism, draw_tally(mechanism, held, random), weights, population).confidence_interval(0.95)
        inside.append((found.low <= weights @ whose) & (weights @ whose <= found.high))
    assert low <= np.mean(inside) <= high


def test_the_errors_of_two_segments_depend_on_each_other() -> None:
    """Rejected: the root of the sum of the squares of two standard errors. For the difference of two segments it is
    too small, because more reports of one segment are fewer of the other; for their sum it is too large."""
    tally = draw_tally(Direct(3, Weights.of(4.0)), np.array([4_500, 4_500, 1_000]), np.random.default_rng(1))
    mechanism = Direct(3, Weights.of(4.0))
    errors = estimate(mechanism, tally).standard_error
    independent = np.sqrt(errors[0] ** 2 + errors[1] ** 2)
    assert linear(mechanism, tally, [1, -1, 0]).standard_error > 1.3 * independent
    assert linear(mechanism, tally, [1, 1, 0]).standard_error < 0.5 * independent


def test_one_share_has_the_standard_error_of_the_estimate() -> None:
    """Also a segment with fewer supports than an empty segment would have: its variance is not that of no report."""
    mechanism = Direct(4, Weights.of(4.0))
    tally = Tally.of({0: 400, 1: 90, 2: 10})
    found = linear(mechanism, tally, np.eye(4))
    assert found.standard_error == pytest.approx(estimate(mechanism, tally).standard_error)
    assert found.estimate == pytest.approx(estimate(mechanism, tally).estimate)


def test_the_sum_of_all_shares_is_certain() -> None:
    """For a mechanism whose symbols all support the same number of values."""
    found = linear(Subset(6, W, 2), Tally.of(range(15), [40, 60, 50] * 5), np.ones(6))
    assert (found.estimate, found.standard_error) == (pytest.approx(1), pytest.approx(0, abs=1e-3))


def test_weights_may_name_segments(survey: Survey) -> None:
    question = survey.question("frequency")
    tally = Tally.of(range(question.mechanism.symbols), np.arange(1, question.mechanism.symbols + 1) * 100)
    found = linear(question, tally, {"once": 1.0, "none": -1.0})
    assert found.estimate == linear(question, tally, [-1, 1, 0]).estimate
    shape = linear(question, tally, np.ones((2, 5, 3))).estimate.shape
    assert shape == (2, 5)


def test_a_tally_that_is_read_in_blocks_gives_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    mechanism, random = MECHANISMS[4], np.random.default_rng(2)
    tally, weights = Tally.of(random.integers(0, 13, 500)), random.normal(size=(2, 7))
    whole = moments(mechanism, tally, weights)
    monkeypatch.setattr("hushtally.aggregator.support_matrix.BLOCK", 21)
    for part, expected in zip(moments(mechanism, tally, weights), whole, strict=True):
        assert part == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], "weights must be 3 finite numbers, one for every segment, got [1.0, 2.0]"),
        (1.0, "weights must be 3 finite numbers"),
        ([1.0, 2.0, float("nan")], "weights must be 3 finite numbers"),
        ({"onec": 1.0}, "weights must name segments of frequency, got 'onec'; did you mean 'once'?"),
    ],
)
def test_other_weights_are_refused(survey: Survey, weights: object, message: str) -> None:
    with pytest.raises(EstimateError) as error:
        linear(survey.question("frequency"), Tally.of([0]), weights)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(EstimateError, match="weights by segment need a question"):
        linear(Direct(3, W), Tally.of([0]), {"once": 1.0})
    with pytest.raises(EstimateError, match="an estimate needs at least one report"):
        linear(Direct(3, W), Tally.of({}), [1, 1, 1])
    with pytest.raises(EstimateError, match="population must be one of customers, respondents, got 'all'"):
        linear(Direct(3, W), Tally.of([0]), [1, 1, 1], "all")  # type: ignore[arg-type]
    with pytest.raises(EstimateError, match="rappor has no support matrix"):
        support_matrix(RAPPOR, np.array([0]), np.array([0]))


def test_the_covariance_of_respondents_leaves_out_the_sampling() -> None:
    mechanism = Direct(3, Weights.of(4.0))
    tally = Tally.of({0: 500, 1: 300, 2: 200})
    table, respondents = ShareTable.of(mechanism, tally), ShareTable.of(mechanism, tally, "respondents")
    difference = table.covariance(np.eye(3)) - respondents.covariance(np.eye(3))
    assert difference == pytest.approx(table.sampling_covariance(np.eye(3)))
    for i, j in product(range(3), repeat=2):
        expected = table.shares[i] * ((i == j) - table.shares[j]) / 1000
        assert table.sampling_covariance(np.eye(3))[i, j] == pytest.approx(expected)
