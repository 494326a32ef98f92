"""Smoothing over epochs: valid for every path that the declaration allows, and refuted by the data if it is wrong."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import norm

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.statistics.epoch_shares import EpochShares
from hushtally.aggregator.statistics.smoothing import bias_aware, refutes, smooth, smooth_epoch, smooth_gaps
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Mechanism, Rappor, Weights, build
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_tally

MECHANISM = Direct(4, Weights.of(1.0))
TALLY = Tally.of({0: 300, 1: 300, 2: 200, 3: 200})
KAPPA = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2)  # the declared change in standard errors of an epoch
NOBODY = np.zeros(4, dtype=bool)


@pytest.mark.parametrize("bias", [0.0, 0.3, 1.0, 2.5, 4.9, 5.1, 9.0])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.9999])
def test_the_critical_value_is_the_quantile_of_a_shifted_normal(bias: float, level: float) -> None:
    value = float(bias_aware(np.array([bias]), level)[0])
    assert norm.cdf(value - bias) - norm.cdf(-value - bias) == pytest.approx(level, abs=1e-5)


@pytest.mark.parametrize(
    ("epochs", "target", "ratios"),
    [
        (12, 11, (0.29, 0.31, 0.37, 0.45, 0.55, 0.62, 0.70, 0.77, 0.81, 0.93)),
        (26, 13, (0.20, 0.23, 0.30, 0.38, 0.47, 0.54, 0.63, 0.71, 0.77, 0.96)),
    ],
)
def test_the_width_is_that_of_the_reference_table(epochs: int, target: int, ratios: tuple[float, ...]) -> None:
    """The half width beside that of the epoch alone, at the last of 12 epochs and in the middle of 26."""
    shares = EpochShares.of(MECHANISM, dict.fromkeys(range(epochs), TALLY), epochs)
    error = shares.standard_error(np.eye(epochs)[target])[0]
    for kappa, ratio in zip(KAPPA, ratios, strict=True):
        low, high = smooth_epoch(shares, target, kappa * error, NOBODY).confidence_interval()
        assert (high - low)[0] / 2 / (1.96 * error) == pytest.approx(ratio, abs=0.006)


def paths(mechanism: Mechanism, path: np.ndarray, n: int, runs: int, seed: int) -> list[EpochShares]:
    """Surveys of n customers in every epoch, in which a first segment has the shares of the path (fixed seed)."""
    random = np.random.default_rng(seed)
    truth = np.column_stack([path, *[(1 - path) / 3] * 3])
    return [
        EpochShares.of(
            mechanism,
            {time: draw_tally(mechanism, random.multinomial(n, row), random) for time, row in enumerate(truth)},
            path.size,
        )
        for _ in range(runs)
    ]


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_the_worst_path_is_covered(memory: str) -> None:
    """A tent that falls by the declared change on both sides. 150 surveys of 1,000 reports at epsilon 1 cover between
    .91 and .99 (2.2 standard deviations; fixed seed). Rejected: the mean of the epochs with its own interval."""
    mechanism = build("auto", {}, 4, 1.0, 2.0 if memory == "permanent" else None)
    most = 0.01
    path = 0.5 - most * np.abs(np.arange(12) - 11)
    inside, mean = [], []
    for shares in paths(mechanism, path, 1_000, 150, 3):
        low, high = smooth_epoch(shares, 11, most, NOBODY).confidence_interval()
        inside.append(low[0] <= 0.5 <= high[0])
        low, high = shares.interval(np.full(12, 1 / 12))
        mean.append(low[0] <= 0.5 <= high[0])
    assert 0.91 <= np.mean(inside) <= 0.99
    assert np.mean(mean) < 0.7


def test_a_wrong_declaration_is_refuted_and_the_epoch_alone_is_used() -> None:
    """A share rises by 3 points an epoch, and half a point is declared. 60 surveys of 5,000 reports at epsilon 1: the
    data refute it, and the intervals of the epoch alone cover the truth, those of the smoothed share do not."""
    path = 0.2 + 0.03 * np.arange(12)
    refuted, ours, blind = [], [], []
    for shares in paths(build("auto", {}, 4, 1.0, None), path, 5_000, 60, 4):
        found = refutes(shares, 0.005)
        refuted.append(found[0])
        for kind, flags in ((ours, found), (blind, NOBODY)):
            low, high = smooth_epoch(shares, 11, 0.005, flags).confidence_interval()
            kind.append(low[0] <= path[11] <= high[0])
    assert np.mean(refuted) == 1
    assert np.mean(ours) > 0.85
    assert np.mean(blind) < 0.1


@pytest.mark.slow
def test_a_true_declaration_is_rarely_refuted() -> None:
    """150 surveys in which the share moves by exactly what is declared: at most 5% are refuted (here with slack for
    chance of two standard deviations: .085)."""
    path = 0.2 + 0.01 * np.arange(12)
    found = [refutes(shares, 0.01)[0] for shares in paths(build("auto", {}, 4, 1.0, None), path, 2_000, 150, 5)]
    assert np.mean(found) <= 0.085


def test_a_refuted_segment_has_the_figures_of_its_epoch(survey: Survey) -> None:
    question = survey.question("frequency")
    weeks = {f"2026-W{45 + week}": Tally.of(range(3), [900 - 80 * week, 700, 400 + 80 * week]) for week in range(6)}
    found = smooth(question, survey, weeks, 0.001)["2026-W48"]
    alone = EpochShares.of(question, {0: weeks["2026-W48"]})
    low, high = alone.interval(np.ones(1))
    assert found.refuted.tolist() == [True, False, True]
    for ours, theirs in (
        (found.estimate, alone.shares[0]),
        (found.standard_error, alone.standard_error(np.ones(1))),
        (found.confidence_interval().low, low),
        (found.confidence_interval().high, high),
    ):
        assert ours[[0, 2]] == pytest.approx(theirs[[0, 2]])
    assert found.standard_error[1] < 0.9 * alone.standard_error(np.ones(1))[1]
    assert smooth(question, survey, {"2026-W45": weeks["2026-W45"]}, 0.01)["2026-W45"].refuted.tolist() == [False] * 3


def test_devices_that_answer_again_help_less() -> None:
    apart = EpochShares.of(MECHANISM, dict.fromkeys(range(8), TALLY), 8)
    again = EpochShares.of(MECHANISM, dict.fromkeys(range(8), TALLY), 2)
    widths = [np.subtract(*smooth_epoch(shares, 7, 0.001, NOBODY).confidence_interval()) for shares in (apart, again)]
    assert (np.abs(widths[1]) > np.abs(widths[0])).all()


def test_rappor_is_smoothed() -> None:
    mechanism = Rappor(4, 16, 2, 8, Fraction(1, 8), Fraction(1, 8), Fraction(7, 8))
    random = np.random.default_rng(2)
    tallies = {time: draw_tally(mechanism, np.array([90, 30, 40, 90]), random) for time in range(4)}
    shares = EpochShares.of(mechanism, tallies, 4)
    low, high = smooth_epoch(shares, 3, 0.001, refutes(shares, 0.001)).confidence_interval()
    assert (high - low < 2 * 1.96 * shares.standard_error(np.eye(4)[3])).all()


@pytest.mark.parametrize("most", [-0.1, 1.0, float("nan")])
def test_the_largest_change_is_a_share(survey: Survey, most: float) -> None:
    with pytest.raises(EstimateError, match="the largest change of a share must be between 0 and 1, got"):
        smooth(survey.question("frequency"), survey, {"2026-W45": TALLY}, most)


@pytest.mark.slow
def test_what_all_groups_have_in_common_may_change(survey: Survey) -> None:
    """All groups jump by 7 points from week to week, and the gaps drift by at most half a point. 40 surveys of six
    groups of 1,000 reports: the smoothed gap covers at least .88 of the shares (80 of them), with an interval of at
    most .75 of the length. The same declaration for the shares themselves is refuted more often than by chance."""
    question, random = survey.question("frequency"), np.random.default_rng(4)
    inside, lengths, refuted = [], [], []
    for _ in range(40):
        common = 0.3 + 0.07 * (np.arange(12) % 2)
        truth = [common + 0.02 * (group - 2.5) + 0.0045 * np.arange(12) * (-1) ** group for group in range(6)]
        groups = [
            {
                survey.epoch.label(survey.starts + timedelta(days=7 * week)): draw_tally(
                    question.mechanism, random.multinomial(1_000, [f, (1 - f) / 2, (1 - f) / 2]), random
                )
                for week, f in enumerate(shares)
            }
            for shares in truth
        ]
        for index in (0, 5):
            found = list(smooth_gaps(question, survey, groups, 0.005)[index].values())[11]
            low, high = found.confidence_interval()
            inside.append(low[0] <= truth[index][11] <= high[0])
            own = found.tables.interval(np.eye(72)[found.own])
            lengths.append((high - low)[0] / (own.high - own.low)[0])
        shares = EpochShares.of(question, dict(enumerate(groups[0].values())), 4)
        refuted.append(refutes(shares, 0.005)[0])
    assert np.mean(inside) >= 0.88
    assert np.mean(lengths) <= 0.75
    assert np.mean(refuted) > 0.15


def test_a_gap_needs_two_groups(survey: Survey) -> None:
    weeks = {"2026-W45": Tally.of(range(3), [500, 400, 300])}
    for groups, most, message in (
        ([weeks], 0.1, "a gap needs at least two groups, got 1"),
        ([weeks, weeks], 1.0, "the largest change of a gap must be between 0 and 1, got 1"),
    ):
        with pytest.raises(EstimateError, match=message):
            smooth_gaps(survey.question("frequency"), survey, groups, most)
    assert [set(found) for found in smooth_gaps(survey.question("frequency"), survey, [weeks, weeks], 0.1)] == [
        {"2026-W45"}
    ] * 2
