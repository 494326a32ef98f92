"""Lifts over independence: Fieller intervals with the unbiased product, and clusters that the data distinguish."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.statistics.lift import Lifts, lifts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Rappor, Weights, build
from hushtally.simulations.sampling import draw_tally

Z = float(ndtri(0.975))
TRUTH = np.array([[0.03, 0.27, 0.05], [0.22, 0.08, 0.05], [0.1, 0.1, 0.1]])
CELLS = np.arange(9).reshape(3, 3, 1).tolist()
LIFT = TRUTH / np.outer(TRUTH.sum(axis=1), TRUTH.sum(axis=0))


def log_interval(found: Lifts) -> tuple[np.ndarray, np.ndarray]:
    """Rejected: the delta interval of the logarithm of the lift."""
    safe = np.where(found.joint > 0, found.joint, np.nan)
    logarithm = np.log(safe / np.outer(found.rows, found.columns))
    half = Z * found.standard_error / np.where(found.estimate > 0, found.estimate, np.nan)
    return np.exp(logarithm - half), np.exp(logarithm + half)


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_the_interval_contains_the_true_lift_as_often_as_stated(memory: str) -> None:
    """250 surveys of 10,000 reports at epsilon 2, nine cells: .93 to .975 (fixed seed)."""
    mechanism = build("auto", {}, 9, 2.0, 4.0 if memory == "permanent" else None)
    random = np.random.default_rng(2)
    inside = []
    for _ in range(250):
        found = lifts(mechanism, draw_tally(mechanism, random.multinomial(10_000, TRUTH.ravel()), random), CELLS)
        low, high = found.confidence_interval()
        assert found.estimable.all()
        inside.append((low <= LIFT) & (high >= LIFT))
    assert 0.93 <= np.mean(inside) <= 0.975


def test_logarithms_of_lifts_are_no_basis_for_an_interval() -> None:
    """Rejected: delta intervals of logarithms. 400 surveys of 2,000 reports at epsilon 1: in the rarest cell, they
    cover less than .9 of the true lifts, also counting only cells with a logarithm; Fieller's cover at least .93."""
    mechanism, random = build("auto", {}, 9, 1.0, None), np.random.default_rng(3)
    fieller, logs = [], []
    for _ in range(400):
        found = lifts(mechanism, draw_tally(mechanism, random.multinomial(2_000, TRUTH.ravel()), random), CELLS)
        for kind, (low, high) in ((fieller, found.confidence_interval()), (logs, log_interval(found))):
            shown = np.isfinite(low[0, 0])
            kind.append(float(low[0, 0] <= LIFT[0, 0] <= high[0, 0]) if shown else np.nan)
    assert np.nanmean(logs) < 0.9
    assert np.nanmean(fieller) >= 0.93


def test_the_product_of_two_margins_is_unbiased() -> None:
    """By enumeration of single reports it cannot be seen; 3,000 surveys of 200 reports: the mean of the plain product
    is off by the covariance of the margins, that of ours is not (4 standard errors)."""
    mechanism, random = build("auto", {}, 4, 1.0, None), np.random.default_rng(1)
    truth = np.array([0.4, 0.1, 0.1, 0.4])
    ours, plain = [], []
    for _ in range(3_000):
        tally = draw_tally(mechanism, random.multinomial(200, truth), random)
        found = lifts(mechanism, tally, [[[0], [1]], [[2], [3]]])
        ours.append(found.product[0, 0])
        plain.append(found.rows[0] * found.columns[0])
    error = np.std(ours) / np.sqrt(3_000)
    assert abs(np.mean(ours) - 0.25) < 4 * error
    assert abs(np.mean(plain) - np.mean(ours)) > 0.0005


def test_clusters_are_what_the_data_distinguish() -> None:
    """Of many reports: two groups of rows and columns, and a column that belongs to none. Of few: no group."""
    truth = np.array([[0.2, 0.024, 0.096], [0.19, 0.02, 0.09], [0.02, 0.246, 0.114]])
    mechanism = build("auto", {}, 9, 2.0, None)
    for n, expected in ((50_000, [([0, 1], [0]), ([2], [1])]), (60, [])):
        tally = draw_tally(mechanism, (n * truth.ravel()).astype(int), np.random.default_rng(1))
        assert lifts(mechanism, tally, CELLS).clusters() == expected


def test_links_through_others_make_one_cluster() -> None:
    chain = np.array([[0.14, 0.11, 0.01, 0.01], [0.01, 0.12, 0.12, 0.01], [0.01, 0.01, 0.11, 0.14]]) / 0.8
    mechanism = Direct(12, Weights.of(6.0))
    tally = draw_tally(mechanism, (1_000_000 * chain.ravel()).astype(int), np.random.default_rng(1))
    assert lifts(mechanism, tally, np.arange(12).reshape(3, 4, 1).tolist()).clusters() == [([0, 1, 2], [0, 1, 2, 3])]


def test_a_lift_needs_both_margins() -> None:
    """A row without customers has no lift, and no error or interval either."""
    mechanism = Direct(4, Weights.of(1.0))
    found = lifts(mechanism, Tally.of({0: 800, 1: 1_000, 2: 410, 3: 405}), [[[0], [1]], [[2], [3]]])
    assert found.estimable.tolist() == [[True, True], [False, False]]
    for figures in (found.estimate, found.standard_error, *found.confidence_interval()):
        assert np.isfinite(figures).tolist() == [[True, True], [False, False]]


def test_rappor_has_lifts_and_respondents_narrower_ones() -> None:
    mechanism = Rappor(4, 16, 2, 8, Fraction(1, 8), Fraction(1, 8), Fraction(7, 8))
    tally = draw_tally(mechanism, np.array([900, 300, 400, 900]), np.random.default_rng(2))
    widths = []
    for population in ("customers", "respondents"):
        low, high = lifts(mechanism, tally, [[[0], [1]], [[2], [3]]], population).confidence_interval()  # type: ignore[arg-type]
        assert low[0, 0] < high[0, 0]
        widths.append(high - low)
    assert (widths[1] < widths[0]).all()


@pytest.mark.parametrize("cells", [[[[0], [1]], [[2], [2]]], [[[0], [1]], [[2], []]]])
def test_every_value_is_in_one_cell(cells: list[list[list[int]]]) -> None:
    with pytest.raises(EstimateError, match="every value must be in exactly one cell"):
        lifts(Direct(4, Weights.of(1.0)), Tally.of([0]), cells)
