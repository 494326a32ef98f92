"""The fast draws have the same distribution as the mechanism's own `perturb`."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi2

from hushtally.aggregator.support import support_counts
from hushtally.client_sdk.mechanisms import Design, Mechanism, Permanent, build
from hushtally.client_sdk.mechanisms.enumeration import distribution
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.sampling import _supporting_symbols, draw_support_counts, draw_tally

MECHANISMS: list[Mechanism] = [
    build("direct", {}, 5, 1.0),
    build("subset", {"w": 3}, 7, 1.0),
    build("affine", {"r": 7, "w": 3}, 6, 1.0),
    build("projective", {"r": 2, "t": 4}, 13, 1.0),
    build("projective", {"r": 3, "t": 3}, 12, 2.0),
    build("projective", {"r": 5, "t": 2}, 6, 1.0),
    build("subset", {"w": 2}, 5, 1.0, 2.0),
    build("affine", {"r": 5, "w": 2}, 5, 1.0, 3.0),
]
NAMES = [f"{one.name} {one.domain}{' permanent' * isinstance(one, Permanent)}" for one in MECHANISMS]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_each_supporting_symbol_of_a_value_occurs_once(mechanism: Mechanism) -> None:
    design = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    assert isinstance(design, Design)
    index = np.arange(design.symbols_per_value)
    for value in range(design.domain):
        found = _supporting_symbols(design, np.full(index.shape, value), index)
        assert sorted(found.tolist()) == [one for one in range(design.symbols) if design.supports(one, value)]


@pytest.mark.parametrize("many", [3, 4_000])
@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_drawn_symbols_have_the_enumerated_distribution(mechanism: Mechanism, many: int) -> None:
    """Chi-square test of drawn tallies against the exact distribution of `perturb`; fails by chance 1 in 10^6."""
    random = np.random.default_rng(7)
    value = 1
    true_counts = np.bincount([value], minlength=mechanism.domain) * many
    drawn: Counter[int] = Counter()
    rounds = 4_000 if many < 10 else 10
    for _ in range(rounds):
        tally = draw_tally(mechanism, true_counts, random)
        assert tally.n == many
        drawn.update(dict(zip(tally.symbols.tolist(), tally.counts.tolist(), strict=True)))
    probabilities = distribution(lambda source: mechanism.perturb(value, source))
    total = rounds * many
    statistic = sum(
        (drawn[one] - total * float(chance)) ** 2 / (total * float(chance)) for one, chance in probabilities.items()
    )
    assert set(drawn) <= set(probabilities)
    assert statistic < chi2.isf(1e-6, len(probabilities) - 1)


@pytest.mark.parametrize("name", ["oue", "sue", "direct", "auto"])
def test_support_counts_have_the_exact_means_and_covariances(name: str) -> None:
    """Compared with the exact distribution of `perturb`: within 5 standard errors; fails by chance 1 in 10^5."""
    mechanism = build(name, {}, 4, 1.0)
    random = np.random.default_rng(3)
    true_counts = np.array([50, 30, 20, 0])
    rounds = 4_000
    drawn = np.array([draw_support_counts(mechanism, true_counts, random) for _ in range(rounds)])
    single = [distribution(lambda source, v=value: mechanism.perturb(v, source)) for value in range(4)]  # type: ignore[misc]
    means, covariances = np.zeros(4), np.zeros((4, 4))
    for value, count in enumerate(true_counts):
        rows = [
            ([mechanism.supports(one, v) for v in range(4)], float(chance)) for one, chance in single[value].items()
        ]
        bits, chances = np.array([row for row, _ in rows], dtype=float), np.array([chance for _, chance in rows])
        mean = chances @ bits
        means += count * mean
        covariances += count * ((bits * chances[:, None]).T @ bits - np.outer(mean, mean))
    sd = np.sqrt(np.diag(covariances))
    assert (abs(drawn.mean(axis=0) - means) < 5 * sd / rounds**0.5).all()
    spread = np.sqrt((np.outer(sd, sd) ** 2 + covariances**2) / rounds)
    assert (abs(np.cov(drawn.T) - covariances) < 5.5 * spread).all()


@pytest.mark.parametrize("name", ["affine", "projective"])
def test_large_domains_are_estimated_correctly(name: str) -> None:
    """With a thousand values, the estimates are within 6 standard errors of the true shares."""
    mechanism = build(name, {}, 1_000, 1.0)
    random = np.random.default_rng(1)
    true_counts = np.zeros(1_000, dtype=np.int64)
    true_counts[[3, 500, 999]] = [60_000, 30_000, 10_000]
    supporting = draw_support_counts(mechanism, true_counts, random)
    n = int(true_counts.sum())
    shares = mechanism.channel.debias(supporting, n)
    error = np.sqrt(mechanism.channel.respondents_variance(true_counts / n, n))
    assert (abs(shares - true_counts / n) < 6 * error).all()


def test_designs_with_too_many_symbols_are_drawn_one_by_one() -> None:
    """An affine design with 17 million symbols draws up to 20 million reports."""
    mechanism = build("affine", {}, 4_096, 1.0)
    random = np.random.default_rng(2)
    true_counts = np.bincount([7], minlength=4_096) * 20_000
    supporting = draw_support_counts(mechanism, true_counts, random)
    p = float(mechanism.channel.p)
    assert abs(supporting[7] - 20_000 * p) < 5 * (20_000 * p * (1 - p)) ** 0.5
    with pytest.raises(
        SimulationError,
        match="affine reports with 16,797,702 symbols are drawn one by one, at most 20,000,000 an epoch",
    ):
        draw_support_counts(mechanism, true_counts * 10_000, random)


def test_equal_seeds_draw_equal_reports() -> None:
    mechanism = build("auto", {}, 16, 1.0)
    true_counts = np.full(16, 1_000)
    one, other = (draw_tally(mechanism, true_counts, np.random.default_rng(5)) for _ in range(2))
    assert one == other
    assert (
        support_counts(mechanism, one) == draw_support_counts(mechanism, true_counts, np.random.default_rng(5))
    ).all()


def test_a_billion_devices_are_drawn_quickly() -> None:
    mechanism = build("auto", {}, 64, 1.0)
    true_counts = np.random.default_rng(0).multinomial(10**9, np.full(64, 1 / 64))
    supporting = draw_support_counts(mechanism, true_counts, np.random.default_rng(0))
    assert (abs(supporting / 10**9 - mechanism.channel.observed(1 / 64)) < 1e-4).all()


def test_draws_that_would_take_too_long_are_refused() -> None:
    many = np.full(52, 10**9)
    with pytest.raises(SimulationError, match="oue reports are drawn one by one, at most 200,000 an epoch \\(got 52,"):
        draw_tally(build("oue", {}, 52, 1.0), many, np.random.default_rng(0))
    with pytest.raises(SimulationError, match='is too large to simulate; set mechanism = "auto" instead'):
        draw_tally(build("subset", {"w": 10}, 40, 1.0), np.full(40, 10), np.random.default_rng(0))


def test_different_seeds_draw_different_reports() -> None:
    mechanism = build("auto", {}, 16, 1.0)
    tallies = [draw_tally(mechanism, np.full(16, 1_000), np.random.default_rng(seed)) for seed in range(5)]
    assert all(one != other for one, other in pairwise(tallies))
