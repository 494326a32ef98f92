"""The regression gives unbiased shares of RAPPOR's values, with intervals that cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.regression import Regression, regress
from hushtally.aggregator.summary import summarize
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey

SMALL = Rappor(3, 4, 2, 3, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
AS_PUBLISHED = Rappor(100, 32, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))


def likelihoods(mechanism: Rappor) -> np.ndarray:
    """The probability of every symbol given every value; exact, from the bits of the symbol."""
    channel = mechanism.exact_channel
    found = []
    for value, group, sent in product(range(mechanism.domain), range(mechanism.m), range(2**mechanism.k)):
        chance = Fraction(1, mechanism.m)
        for place in range(mechanism.k):
            one = channel.p if mechanism.bits(group, value) >> place & 1 else channel.q
            chance *= Fraction(one) if sent >> place & 1 else 1 - Fraction(one)
        found.append(float(chance))
    return np.array(found).reshape(mechanism.domain, -1)


def draw(mechanism: Rappor, shares: np.ndarray, n: int, rng: np.random.Generator) -> Tally:
    return sent(mechanism, rng.choice(mechanism.domain, n, p=shares), rng)


def sent(mechanism: Rappor, values: np.ndarray, rng: np.random.Generator) -> Tally:
    """One report for each of the values."""
    n = values.size
    groups = rng.integers(0, mechanism.m, n)
    table = [[mechanism.bits(group, value) for value in range(mechanism.domain)] for group in range(mechanism.m)]
    bits = np.array(table)[groups, values]
    symbols = groups << mechanism.k
    for place in range(mechanism.k):
        rate = np.where(bits >> place & 1, float(mechanism.channel.p), float(mechanism.channel.q))
        symbols |= (rng.random(n) < rate).astype(np.int64) << place
    return Tally.of(symbols)


def test_expected_counts_give_the_true_shares() -> None:
    """The estimate is linear in the counts of a group, so its mean is the estimate from the mean counts."""
    truth = np.array([0.6, 0.3, 0.1])
    expected = Tally.of(np.arange(SMALL.symbols), np.rint(truth @ likelihoods(SMALL) * 1e15).astype(np.int64))
    assert regress(SMALL, expected).shares == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_the_standard_error_is_that_of_repeated_surveys(population: str) -> None:
    """400 surveys of 6,000 reports (fixed seed): the standard deviation of the estimates is within 16% of it.

    The standard deviation is known to 3.5%, so 16% is 4.5 of these.
    """
    rng = np.random.default_rng(3)
    holders = np.array([3600, 1800, 600])
    odds = likelihoods(SMALL)
    regressions = []
    for _ in range(400):
        if population == "customers":
            counts = rng.multinomial(6000, holders / 6000 @ odds)
        else:
            counts = sum(rng.multinomial(count, row) for count, row in zip(holders, odds, strict=True))
        regressions.append(regress(SMALL, Tally.of(np.arange(SMALL.symbols), counts), population))  # type: ignore[arg-type]
    deviation = np.std([regression.shares for regression in regressions], axis=0)
    assert deviation == pytest.approx(np.mean([each.standard_error for each in regressions], axis=0), rel=0.16)


@pytest.mark.parametrize(
    ("n", "at_least"), [(100_000, 23), pytest.param(1_000_000, 54, marks=pytest.mark.slow)], ids=["1e5", "1e6"]
)
def test_rappor_with_its_published_parameters(n: int, at_least: int) -> None:
    """100 Zipf values, 10 surveys: the intervals of all values cover, and so do the intervals of detected values.

    The standard deviation of the coverage over 1,000 intervals is .0075; the bounds are 3.5 of these. For the detected
    values (280 or more) it is at most .013. Their bound is .95 less 1.5 of these, so that intervals that ignore the
    selection (.908) fail; correct intervals fail by chance in fewer than 1 of 14 runs; the seed is fixed. At least as
    many values are detected as by the original's own analysis, whose 95% intervals cover .73 and .79 of these values.
    The simultaneous intervals (.9995 for each of the 100 values) must cover nearly all detected values.
    """
    rng = np.random.default_rng(17)
    truth = 1 / np.arange(1, 101)
    truth /= truth.sum()
    covered, detected, covered_detected, simultaneous_detected = 0, 0, 0, 0
    for _ in range(10):
        published = estimate(AS_PUBLISHED, draw(AS_PUBLISHED, truth, n, rng))
        chosen = Regression(published.estimate, published.standard_error).detected(0.95)
        covers = (published.low <= truth) & (truth <= published.high)
        covers_together = (published.simultaneous_low <= truth) & (truth <= published.simultaneous_high)
        covered += int(covers.sum())
        detected += int(chosen.sum())
        covered_detected += int(covers[chosen].sum())
        simultaneous_detected += int(covers_together[chosen].sum())
    assert 0.924 < covered / 1000 < 0.976
    assert detected >= 10 * at_least
    assert covered_detected / detected > 0.93
    assert simultaneous_detected / detected > 0.98


ACCURATE = Rappor(30, 32, 1, 8, Fraction(1, 50), Fraction(1, 50), Fraction(49, 50))  # epsilon 6.98


@pytest.mark.parametrize(
    ("mechanism", "n", "shares"),
    [
        (ACCURATE, 100, 1 / np.arange(1, 21)),
        (ACCURATE, 500, 1 / np.arange(1, 21)),
        (ACCURATE, 500, [9, 1]),
        pytest.param(replace(AS_PUBLISHED, domain=30), 500, 1 / np.arange(1, 21), marks=pytest.mark.slow),
    ],
    ids=["100", "500", "dominated", "as published"],
)
@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_intervals_cover_if_few_reports_hold_a_value_or_none(
    population: Population, mechanism: Rappor, n: int, shares: Sequence[float]
) -> None:
    """30 values, of which at least ten are held by nobody, 300 surveys: .94 to .97 of all intervals cover.

    The simultaneous intervals of a survey all cover in .89 of the surveys. With the sample covariance of the reports,
    which is zero for a value without reports, these figures are .91 to .94, and .59 to .89. The standard deviation is
    at most .017 for the simultaneous intervals and .004 for the others: exact coverages of .925 and .95 fail by chance
    in 1 of 50 runs; the seed is fixed.
    """
    rng = np.random.default_rng(23)
    expected = np.zeros(30)
    expected[: len(shares)] = np.divide(shares, np.sum(shares))
    covered, together = [], []
    for _ in range(300):
        values = rng.choice(30, n, p=expected)
        truth = expected if population == "customers" else np.bincount(values, minlength=30) / n
        found = estimate(mechanism, sent(mechanism, values, rng), population=population)
        covered.append((found.low <= truth + 1e-12) & (truth - 1e-12 <= found.high))
        together.append(((found.simultaneous_low <= truth) & (truth <= found.simultaneous_high)).all())
    assert 0.94 < np.mean(covered) < 0.97
    assert np.mean(together) > 0.89


@pytest.mark.parametrize(
    "confidence", [pytest.param(one, marks=pytest.mark.slow) for one in (0.5, 0.8, 0.95, 0.99, 0.9999)]
)
def test_the_interval_covers_every_share_and_every_detected_share(confidence: float) -> None:
    """By the normal distribution: the coverage is exactly the confidence, and at least that among detections."""
    estimates = np.linspace(-8, 18, 1_300_001)
    found = Regression(estimates, np.ones(estimates.shape))
    low, high = found.interval(confidence)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) > 0).all()
    for share in np.linspace(0, 9, 46):
        # Both ends rise with the estimate, so the estimates whose interval contains the share are a range.
        first, end = np.searchsorted(high, share), np.searchsorted(low, share, side="right")
        least, most = estimates[first], estimates[min(end, estimates.size - 1)]
        detected = float(ndtri(confidence))
        assert ndtr(most - share) - ndtr(least - share) == pytest.approx(confidence, abs=1e-5)
        covered_detections = ndtr(most - share) - ndtr(max(least, detected) - share)
        assert covered_detections / ndtr(share - detected) > confidence - 1e-5


def test_only_the_lower_end_of_a_barely_detected_share_differs_much_from_a_normal_interval() -> None:
    low, high = Regression(np.array([-1.0, 1.0, 2.5, 3.0, 6.0]), np.ones(5)).interval(0.95)
    assert low == pytest.approx([-2.95996, -0.95996, 0, 0.5131, 4.04004], abs=1e-4)
    assert high == pytest.approx([0.7409, 2.95996, 4.45996, 4.95996, 7.95996], abs=1e-4)


def test_the_interval_of_a_share_without_error_is_the_share() -> None:
    low, high = Regression(np.array([0.0, 0.25]), np.zeros(2)).interval(0.95)
    assert low.tolist() == high.tolist() == [0, 0.25]


def test_the_estimate_of_a_rappor_question_is_the_regression() -> None:
    tally = draw(SMALL, np.array([0.6, 0.3, 0.1]), 3000, np.random.default_rng(1))
    found, regression = estimate(SMALL, tally), regress(SMALL, tally)
    assert found.estimate.tolist() == regression.shares.tolist()
    assert found.low.tolist() == regression.interval(0.95).low.tolist()
    assert found.high.tolist() == regression.interval(0.95).high.tolist()
    together = regression.simultaneous(0.95)
    assert found.simultaneous_low.tolist() == np.minimum(together.low, found.low).tolist()
    assert found.simultaneous_high.tolist() == np.maximum(together.high, found.high).tolist()
    assert found.consistent.sum() == pytest.approx(1)


def test_values_that_the_reported_bits_cannot_distinguish_are_an_error() -> None:
    mechanism = Rappor(40, 4, 1, 14, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    with pytest.raises(NotEstimableError) as caught:
        regress(mechanism, Tally.of(range(3 * 2**4)))
    assert str(caught.value) == ("the reports so far cannot distinguish 40 values (rappor with 14 groups of 4 bits)")


def test_shares_that_cannot_be_estimated_are_not_published(survey_text: str) -> None:
    names = ", ".join(f'"c{index}"' for index in range(39))
    rappor = 'mechanism = { name = "rappor", k = 4, h = 1, m = 14, f = 0.5, p = 0.25, q = 0.75 }'
    text = survey_text.replace('"books", "music", "games"]', f"{names}]\nepsilon = 1.0216512475319814\n{rappor}")
    text = text.replace(
        "answers_every = 9", 'memory = "permanent"\nepsilon_permanent = 2.1972245773362196\nchanges = 1'
    )
    survey = Survey.parse(text)
    cell = Cell.of("shop", 1, "affinity", {"platform": "web", "plan": "free"}, "2026-W45")
    rows = summarize(survey, {cell: Tally.of(range(48), [100] * 48)})
    assert len(rows) == 40
    assert {row.reason for row in rows} == {
        "the reports so far cannot distinguish 40 values (rappor with 14 groups of 4 bits)"
    }
    assert not any(row.published for row in rows)
