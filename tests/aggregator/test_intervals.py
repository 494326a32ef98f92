"""Intervals have the stated coverage, by enumeration of every outcome if possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy.signal import fftconvolve
from scipy.special import ndtri
from scipy.stats import binom

from hushtally.aggregator.intervals import (
    Interval,
    Population,
    clopper_pearson,
    comparisons,
    detected,
    respondents_score,
    share_interval,
    simultaneous,
    wilson,
)
from hushtally.client_sdk.mechanisms import Direct, Mechanism, Projective, Weights, build, choose
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.enumeration import distribution
from hushtally.client_sdk.mechanisms.unary import Optimized

Method = Callable[[Channel, np.ndarray, int], Interval]
Z = float(ndtri(0.975))
SHARES = (0, 0.001, 0.01, 0.3)


def cases() -> Iterator[tuple[Channel, int, float]]:
    """The 180 cases of the reference table: 3 mechanisms, 3 epsilons, 5 values of n, 4 shares."""
    for epsilon in (0.5, 1.0, 3.0):
        weights = Weights.of(epsilon)
        for mechanism in (Direct(8, weights), Direct(64, weights), Optimized.of(8, epsilon)):
            for n in (200, 1000, 10_000, 100_000, 1_000_000):
                for share in SHARES:
                    yield mechanism.channel, n, share


def covered(interval: Interval, share: float) -> np.ndarray:
    return (interval.low <= share + 1e-12) & (share - 1e-12 <= interval.high)


def coverage(method: Method, channel: Channel, n: int, share: float) -> float:
    """The coverage for customers that are sampled from a larger population: the count is binomial.

    Leaves out tails of 1e-13.
    """
    rate = channel.observed(share)
    low, high = binom.ppf([1e-13, 1 - 1e-13], n, rate).astype(int)
    counts = np.arange(max(low - 1, 0), min(high + 1, n) + 1)
    return float(binom.pmf(counts, n, rate)[covered(method(channel, counts, n), share)].sum())


def coverage_of_respondents(method: Method, channel: Channel, n: int, share: float) -> float:
    """The coverage for the respondents alone: the count is the sum of two binomials. Leaves out tails of 1e-13."""
    holders = round(n * share)
    of_holders = binom.pmf(np.arange(holders + 1), holders, channel.p)
    of_others = binom.pmf(np.arange(n - holders + 1), n - holders, channel.q)
    chances = fftconvolve(of_holders, of_others)
    counts = np.flatnonzero(chances > 1e-15)
    return float(chances[counts][covered(method(channel, counts, n), holders / n)].sum())


def wald(channel: Channel, counts: np.ndarray, n: int) -> Interval:
    estimate = channel.debias(counts, n)
    half = Z * np.sqrt(channel.variance(estimate, n))
    return Interval(estimate - half, estimate + half)


def mapped(interval: Interval, channel: Channel) -> Interval:
    return Interval(channel.share(interval.low), channel.share(interval.high))


def default(channel: Channel, counts: np.ndarray, n: int) -> Interval:
    return share_interval(channel, counts, n, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "enumerate_", "least", "mean", "most"),
    [
        (wald, coverage, 0.806, 0.942, 0.953),
        (lambda channel, counts, n: mapped(wilson(counts, n, Z), channel), coverage, 0.941, 0.951, 0.974),
        (lambda channel, counts, n: mapped(clopper_pearson(counts, n, 0.95), channel), coverage, 0.950, 0.956, 0.991),
        pytest.param(
            lambda channel, counts, n: respondents_score(channel, counts, n, Z),
            coverage_of_respondents,
            *(0.941, 0.951, 0.976),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["wald", "wilson", "clopper_pearson", "respondents"],
)
def test_the_coverage_equals_the_reference_table(
    method: Method, enumerate_: Callable[..., float], least: float, mean: float, most: float
) -> None:
    """The table has 3 decimals (half a unit and rounding: .0006)."""
    found = [enumerate_(method, *case) for case in cases()]
    assert [min(found), np.mean(found), max(found)] == pytest.approx([least, mean, most], abs=0.0006)


@pytest.mark.parametrize("enumerate_", [coverage, pytest.param(coverage_of_respondents, marks=pytest.mark.slow)])
def test_the_published_interval_covers(enumerate_: Callable[..., float]) -> None:
    """The coverage is at least .94 in every case of the table and .95 on average, for both populations."""
    population = "customers" if enumerate_ is coverage else "respondents"
    found = [enumerate_(lambda c, s, n: share_interval(c, s, n, 0.95, population), *case) for case in cases()]
    assert min(found) > 0.94
    assert 0.95 < np.mean(found) < 0.956


def test_the_interval_covers_for_small_counts() -> None:
    """The coverage is at least .94 in two cases in which Wilson's is .935 and .846, and in 690 similar cases."""
    assert coverage(default, Projective(16, Weights.of(3.0), 19, 4).channel, 200, 0.01) > 0.95
    assert coverage(default, Direct(16, Weights.of(8.0)).channel, 500, 0.0) > 0.95
    cases = 0
    for epsilon in (0.5, 1.0, 4.0, 8.0):
        for domain in (2, 16, 64, 1024):
            for mechanism in {Direct(domain, Weights.of(epsilon)), choose(domain, epsilon)}:
                for n in (200, 500, 1000, 5000, 20_000):
                    for share in (0, 0.003, 0.01, 0.1, 0.5, 1.0):
                        assert coverage(default, mechanism.channel, n, share) > 0.94
                        cases += 1
    assert cases == 690


@pytest.mark.slow
@pytest.mark.parametrize(
    ("confidence", "least", "epsilons"),
    [(0.95, 0.94, (1, 4, 5, 6, 7, 8)), (0.99, 0.985, (1, 8)), (0.8, 0.77, (1, 8))],
)
def test_the_interval_covers_respondents_if_the_noise_changes_few_reports(
    confidence: float, least: float, epsilons: tuple[int, ...]
) -> None:
    """By enumeration, the coverage is at least .94 at a confidence of .95; that of the score interval falls to .81."""
    for epsilon in epsilons:
        for domain in (2, 3, 16, 64):
            channel = choose(domain, epsilon).channel
            for n in (200, 500, 1000, 10_000, 100_000):
                for share in (0, 0.001, 0.1, 0.3, 0.5, 0.9):
                    assert coverage_of_respondents(
                        lambda c, s, n: share_interval(c, s, n, confidence, "respondents"), channel, n, share
                    ) > least  # fmt: skip


@pytest.mark.parametrize(
    ("population", "domain", "epsilon", "n", "share"),
    [
        ("customers", 5, 4.0, 410, 0.04),
        ("customers", 4, 6.469, 13_608, 0.0),
        ("customers", 2, 5.991, 8_421, 0.0),
        ("respondents", 2, 2.0, 300, 0.5),
    ],
)
def test_the_worst_cases_of_a_search_cover_as_documented(
    population: Population, domain: int, epsilon: float, n: int, share: float
) -> None:
    """The worst of 52,000 random channels, numbers of reports and shares cover a little less than .94."""
    enumerate_ = coverage if population == "customers" else coverage_of_respondents
    found = enumerate_(
        lambda c, s, n: share_interval(c, s, n, 0.95, population), choose(domain, epsilon).channel, n, share
    )
    assert 0.938 < found < 0.94


@pytest.mark.parametrize("reports", [1, 2, 10, 75, 199])
def test_the_interval_covers_for_any_number_of_reports(reports: int) -> None:
    """For few reports the interval is exact. Wilson's coverage falls to .936 (75 reports at epsilon .25)."""
    for epsilon in (0.25, 1, 4):
        for domain in (2, 4, 64):
            channel = choose(domain, epsilon).channel
            for share in (holders / reports for holders in {0, reports // 10, reports // 3, reports // 2}):
                assert coverage(default, channel, reports, share) > 0.95 - 1e-9
                assert coverage_of_respondents(
                    lambda c, s, n: share_interval(c, s, n, 0.95, "respondents"), channel, reports, share
                ) > 0.95 - 1e-9  # fmt: skip


def test_intervals_of_respondents_are_short_for_little_noise() -> None:
    """Half of 1,000 hold the value at epsilon 8: the noise changes 2.7 reports. Clopper & Pearson's width is .063."""
    channel = choose(16, 8.0).channel
    low, high = share_interval(channel, np.array([round(1000 * channel.observed(0.5))]), 1000, 0.95, "respondents")
    assert 0.003 < high[0] - low[0] < 0.008


def test_intervals_of_respondents_are_short_for_skewed_counts() -> None:
    """The widths for 218 and 219 of 1,000 reports at epsilon 4 are .066. Clopper & Pearson's width is .117."""
    low, high = share_interval(choose(16, 4.0).channel, np.array([218, 219]), 1000, 0.999372, "respondents")
    assert high - low == pytest.approx([0.066, 0.066], abs=0.001)


@pytest.mark.parametrize(("domain", "epsilon"), [(2, 1.0), (4, 1.0), (16, 1.0), (16, 4.0), (256, 4.0), (1024, 6.0)])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99, 0.9994])
def test_more_supporting_reports_never_lower_an_end(domain: int, epsilon: float, confidence: float) -> None:
    """The test compares all counts of respondents, across the switch between exact and score intervals."""
    channel = choose(domain, epsilon).channel
    for n in (200, 1000, 5000):
        ends = share_interval(channel, np.arange(n + 1), n, confidence, "respondents")
        assert np.diff(ends).min() > -1e-12


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_intervals_of_respondents_extend_beyond_0_and_1(epsilon: float) -> None:
    """If all or none of 200 hold the value, the interval lies on both sides of the true share, like the estimates."""
    channel = choose(4, epsilon).channel
    counts = np.rint([200 * channel.q, 200 * channel.p]).astype(int)
    low, high = share_interval(channel, counts, 200, 0.95, "respondents")
    assert (low < [0, 1]).all()
    assert (high > [0, 1]).all()


@pytest.mark.parametrize("n", [1, 50, 1_000_000])
def test_next_to_impossible_counts_have_an_interval_too(n: int) -> None:
    """If none or all of the reports support a value, at the limits of epsilon, the interval contains its estimate."""
    for domain, epsilon in ((2, 0.01), (2, 8.0), (1024, 8.0)):
        channel, counts = choose(domain, epsilon).channel, np.array([0, n])
        low, high = share_interval(channel, counts, n, 0.95, "respondents")
        estimate = channel.debias(counts, n)
        assert ((low <= estimate) & (estimate <= high) & (low < high)).all()


@pytest.mark.parametrize("mechanism", [Direct(16, Weights.of(1.0)), choose(1024, 3.0), choose(16_384, 3.0)], ids=str)
@pytest.mark.parametrize("n", [1000, 100_000])
@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_simultaneous_intervals_cover_together(population: Population, n: int, mechanism: Mechanism) -> None:
    """The probabilities of a miss, added over all values, are at most 6% (.058 at worst; with Wilson's alone, 16%)."""
    enumerate_ = coverage if population == "customers" else coverage_of_respondents
    confidence = simultaneous(0.95, mechanism.domain)
    rest = 0.7 / (mechanism.domain - 1)

    def method(channel: Channel, counts: np.ndarray, n: int) -> Interval:
        return share_interval(channel, counts, n, confidence, population)

    missed = [1 - enumerate_(method, mechanism.channel, n, share) for share in (0.3, rest)]
    assert missed[0] + (mechanism.domain - 1) * missed[1] < 0.061


def test_simultaneous_intervals_cover_together_for_drawn_counts() -> None:
    """Sidak over 8 values of direct, n = 2,000, 4,000 multinomial draws: between .94 and .965.

    The exact coverage is near .952, and the standard deviation of the estimate is .0034: fails by chance in fewer than
    1 of 2,000 runs; the seed is fixed.
    """
    mechanism = Direct(8, Weights.of(1.0))
    shares = np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05, 0, 0])
    counts = np.random.default_rng(11).multinomial(2000, mechanism.channel.observed(shares), size=4000)
    together = share_interval(mechanism.channel, counts, 2000, simultaneous(0.95, 8))
    assert 0.94 < covered_rows(together, shares) < 0.965
    assert covered_rows(share_interval(mechanism.channel, counts, 2000, 0.95), shares) < 0.75


def covered_rows(interval: Interval, shares: np.ndarray) -> float:
    return float(((interval.low <= shares) & (shares <= interval.high)).all(axis=1).mean())


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("direct", {}, 1),
        ("subset", {"w": 1}, 1),
        ("sue", {}, 2),
        ("oue", {}, 2),
        ("affine", {"r": 5, "w": 2}, 2),
        ("projective", {"r": 2, "t": 3}, 2),
    ],
)
@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_intervals_of_two_segments_cover_together(
    name: str, parameters: dict[str, int], expected: int, population: Population
) -> None:
    """The intervals of both segments cover in at least .945 of 20,000 drawn surveys.

    The exact coverage is .95 or a little more, and the standard deviation is .0015: fails by chance in 1 of 2,000 runs.
    If the share of one segment does not determine the other, single intervals both cover .90 to .91 of the time.
    """
    mechanism, n = build(name, parameters, 2, 1.0), 4000
    odds = np.array([_likelihood(mechanism, value) for value in range(2)])
    random, truth = np.random.default_rng(5), np.array([0.3, 0.7])
    if population == "customers":
        symbols = random.multinomial(n, truth @ odds, size=20_000)
    else:
        symbols = sum(random.multinomial(round(n * truth[v]), odds[v], size=20_000) for v in range(2))
    supports = np.array([[mechanism.supports(s, v) for v in range(2)] for s in range(mechanism.symbols)])

    def coverage_together(count: int) -> float:
        level = simultaneous(0.95, count)
        return covered_rows(share_interval(mechanism.channel, symbols @ supports, n, level, population), truth)

    assert comparisons(mechanism) == expected
    assert coverage_together(expected) > 0.945
    assert coverage_together(1) > 0.945 if expected == 1 else coverage_together(1) < 0.92


def _likelihood(mechanism: Mechanism, value: int) -> list[float]:
    found = distribution(partial(mechanism.perturb, value))
    return [float(found[symbol]) for symbol in range(mechanism.symbols)]


def test_two_intervals_give_the_interval_of_their_difference_and_of_their_mean() -> None:
    """For independent tables, the squared distances of the ends from the estimates add up (Newcombe 1998; Zou & Donner
    2008). By enumeration, the coverage is at least .94 in 750 cases; 1.96 standard errors cover the mean .73 of the
    time."""
    found = []
    for epsilon, domain in product((1.0, 2.0, 4.0, 6.0, 8.0), (4, 16)):
        channel = choose(domain, epsilon).channel
        for first, second in ((500, 500), (2000, 500), (2000, 2000)):
            for truth in product((0, 0.001, 0.01, 0.05, 0.3), repeat=2):
                one, other = (_outcomes(channel, n, share) for n, share in zip((first, second), truth, strict=True))
                chances, weight = np.outer(one[0], other[0]), first / (first + second)
                for a, b in ((1, -1), (weight, 1 - weight)):
                    missed = a * (one[1][:, None] - truth[0]) + b * (other[1] - truth[1])
                    below, above, error = (
                        np.hypot(a * one[side][:, None], b * other[side if b > 0 or side == 4 else 5 - side])
                        for side in (2, 3, 4)
                    )
                    found.append([
                        chances[(missed <= below) & (-missed <= above)].sum(), chances[abs(missed) <= Z * error].sum()
                    ])  # fmt: skip
    assert len(found) == 2 * 750
    ours, plain = np.min(found, axis=0)
    assert ours > 0.94
    assert plain < 0.74


def _outcomes(channel: Channel, n: int, share: float) -> tuple[np.ndarray, ...]:
    """For every count: its probability, the estimate, the distance to each end of the interval, the standard error."""
    rate = channel.observed(share)
    low, high = binom.ppf([1e-11, 1 - 1e-11], n, rate).astype(int)
    counts = np.arange(low, high + 1)
    estimate, interval = channel.debias(counts, n), default(channel, counts, n)
    error = np.sqrt(channel.variance(np.clip(estimate, 0, 1), n))
    return binom.pmf(counts, n, rate), estimate, estimate - interval.low, interval.high - estimate, error


def test_simultaneous_intervals_have_the_confidence_of_sidak() -> None:
    assert comparisons(Direct(3, Weights.of(1.0))) == 3
    assert simultaneous(0.95, 3) == pytest.approx(0.95 ** (1 / 3))


@pytest.mark.parametrize("population", ["customers", "respondents"])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_a_share_of_zero_is_rarely_detected(confidence: float, population: Population) -> None:
    """The probability is 1 - confidence, plus the effect of discrete counts. A share of 1 is nearly always detected."""
    enumerate_ = coverage if population == "customers" else coverage_of_respondents
    for epsilon in (1.0, 4.0, 8.0):
        channel = choose(16, epsilon).channel

        def detection(channel: Channel, counts: np.ndarray, n: int) -> Interval:
            found = detected(channel, counts, n, confidence, population)
            return Interval(np.where(found, -1.0, 2.0), np.full(counts.shape, 2.0))

        for n in (200, 2000):
            assert enumerate_(detection, channel, n, 0.0) < 1 - confidence + (0.01 if confidence == 0.95 else 0.03)
            assert enumerate_(detection, channel, n, 1.0) > 0.99


@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_an_interval_contains_its_estimate_and_grows_with_the_confidence(population: str) -> None:
    """The test compares all counts that are not next to impossible."""
    channel = Direct(16, Weights.of(1.0)).channel
    for n in (1, 30, 5000):
        counts = np.arange(int(0.8 * channel.q * n), n + 1)
        estimate = channel.debias(counts, n)
        narrow, wide = (share_interval(channel, counts, n, c, population) for c in (0.8, 0.999))  # type: ignore[arg-type]
        assert (wide.low <= narrow.low + 1e-12).all()
        assert (narrow.high <= wide.high + 1e-12).all()
        assert ((wide.low <= estimate + 1e-12) & (estimate <= wide.high + 1e-12)).all()
