"""Reports drawn by the million have the distribution of the device's own code."""

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
from hushtally.simulations.sampling import _symbols, draw_supporting, draw_tally

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
def test_every_value_has_its_supporting_symbols_once(mechanism: Mechanism) -> None:
    design = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    assert isinstance(design, Design)
    index = np.arange(design.symbols_per_value)
    for value in range(design.domain):
        found = _symbols(design, np.full(index.shape, value), index)
        assert sorted(found.tolist()) == [one for one in range(design.symbols) if design.supports(one, value)]


@pytest.mark.parametrize("many", [3, 4_000])
@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_symbols_come_as_enumerated(mechanism: Mechanism, many: int) -> None:
    """Counts of 4,000 drawn tallies against the exact chances of the shipped `perturb`; chi-square, 1 in 10^6."""
    random = np.random.default_rng(7)
    value = 1
    holders = np.bincount([value], minlength=mechanism.domain) * many
    drawn: Counter[int] = Counter()
    rounds = 4_000 if many < 10 else 10
    for _ in range(rounds):
        tally = draw_tally(mechanism, holders, random)
        assert tally.n == many
        drawn.update(dict(zip(tally.symbols.tolist(), tally.counts.tolist(), strict=True)))
    chances = distribution(lambda source: mechanism.perturb(value, source))
    total = rounds * many
    statistic = sum(
        (drawn[one] - total * float(chance)) ** 2 / (total * float(chance)) for one, chance in chances.items()
    )
    assert set(drawn) <= set(chances)
    assert statistic < chi2.isf(1e-6, len(chances) - 1)


@pytest.mark.parametrize("name", ["oue", "sue", "direct", "auto"])
def test_supports_have_the_channels_means_and_covariances(name: str) -> None:
    """Against reports of the device's code: means and a covariance of S within 5 standard errors (1 in 10^5)."""
    mechanism = build(name, {}, 4, 1.0)
    random = np.random.default_rng(3)
    holders = np.array([50, 30, 20, 0])
    rounds = 4_000
    drawn = np.array([draw_supporting(mechanism, holders, random) for _ in range(rounds)])
    single = [distribution(lambda source, v=value: mechanism.perturb(v, source)) for value in range(4)]  # type: ignore[misc]
    means, covariances = np.zeros(4), np.zeros((4, 4))
    for value, count in enumerate(holders):
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
def test_large_domains(name: str) -> None:
    """A thousand values: all reports come, and the estimates are within 6 standard errors of the truth."""
    mechanism = build(name, {}, 1_000, 1.0)
    random = np.random.default_rng(1)
    holders = np.zeros(1_000, dtype=np.int64)
    holders[[3, 500, 999]] = [60_000, 30_000, 10_000]
    supporting = draw_supporting(mechanism, holders, random)
    n = int(holders.sum())
    shares = mechanism.channel.debias(supporting, n)
    error = np.sqrt(mechanism.channel.respondents_variance(holders / n, n))
    assert (abs(shares - holders / n) < 6 * error).all()


def test_more_symbols_than_are_held_at_once() -> None:
    """An affine design named by hand has 17 million symbols: reports are drawn one by one, up to a limit."""
    mechanism = build("affine", {}, 4_096, 1.0)
    random = np.random.default_rng(2)
    holders = np.bincount([7], minlength=4_096) * 20_000
    supporting = draw_supporting(mechanism, holders, random)
    p = float(mechanism.channel.p)
    assert abs(supporting[7] - 20_000 * p) < 5 * (20_000 * p * (1 - p)) ** 0.5
    with pytest.raises(SimulationError, match="affine with 16,797,702 symbols is drawn report by report"):
        draw_supporting(mechanism, holders * 10_000, random)


def test_the_same_seed_draws_the_same() -> None:
    mechanism = build("auto", {}, 16, 1.0)
    holders = np.full(16, 1_000)
    one, other = (draw_tally(mechanism, holders, np.random.default_rng(5)) for _ in range(2))
    assert one == other
    assert (support_counts(mechanism, one) == draw_supporting(mechanism, holders, np.random.default_rng(5))).all()


def test_a_billion_devices_take_a_moment() -> None:
    mechanism = build("auto", {}, 64, 1.0)
    holders = np.random.default_rng(0).multinomial(10**9, np.full(64, 1 / 64))
    supporting = draw_supporting(mechanism, holders, np.random.default_rng(0))
    assert (abs(supporting / 10**9 - mechanism.channel.observed(1 / 64)) < 1e-4).all()


def test_too_much_is_refused() -> None:
    many = np.full(52, 10**9)
    with pytest.raises(SimulationError, match="oue is drawn report by report, at most 200,000 an epoch, got 52,"):
        draw_tally(build("oue", {}, 52, 1.0), many, np.random.default_rng(0))
    with pytest.raises(SimulationError, match="too large to be drawn"):
        draw_tally(build("subset", {"w": 10}, 40, 1.0), np.full(40, 10), np.random.default_rng(0))


def test_neighbouring_seeds_differ() -> None:
    mechanism = build("auto", {}, 16, 1.0)
    tallies = [draw_tally(mechanism, np.full(16, 1_000), np.random.default_rng(seed)) for seed in range(5)]
    assert all(one != other for one, other in pairwise(tallies))
