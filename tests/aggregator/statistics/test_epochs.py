"""Changes and trends over epochs: valid whether or not the same devices answer again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import share_interval
from hushtally.aggregator.statistics.change import Change, change
from hushtally.aggregator.statistics.epoch_shares import EpochShares, report_weights
from hushtally.aggregator.statistics.trend import Trend, trend
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Mechanism, Permanent, Rappor, Weights, build
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_symbols, draw_tally
from hushtally.simulations.simulate.permanent_memory import PermanentMemory

Z = float(ndtri(0.975))
TALLIES = {time: Tally.of({0: 500 + 40 * time, 1: 400, 2: 360 - 40 * time}) for time in range(6)}
MECHANISM = Direct(3, Weights.of(1.0))


def crowds(
    mechanism: Mechanism, values: Callable[[np.random.Generator, int], np.ndarray], n: int, panels: int, runs: int
) -> Iterator[EpochShares]:
    """Runs of a survey in which the n devices of a panel answer every `panels` epochs (fixed seed).

    values: the segments of n devices in every epoch, of shape (n, epochs).
    """
    random = np.random.default_rng(7)
    for _ in range(runs):
        held = [values(random, n) for _ in range(panels)]
        memory = None
        if isinstance(mechanism, Permanent):
            memory = [PermanentMemory(mechanism, n, mechanism.domain - 1) for _ in range(panels)]
        tallies = {}
        for epoch in range(held[0].shape[1]):
            now = held[epoch % panels][:, epoch]
            symbols = (
                memory[epoch % panels].answer(np.arange(n), now, random)
                if memory
                else draw_symbols(mechanism, now, random)
            )
            tallies[epoch] = Tally.of(symbols)
        yield EpochShares.of(mechanism, tallies, panels)


def unchanging(random: np.random.Generator, n: int) -> np.ndarray:
    """Twelve epochs in which nobody changes; 30%, 50% and 20% of customers."""
    return np.repeat(random.choice(3, size=(n, 1), p=[0.3, 0.5, 0.2]), 12, axis=1)


def independent_interval(shares: EpochShares, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rejected where devices answer again: the interval for independent epochs."""
    distinct = EpochShares(shares.tables, shares.times, shares.times)
    return distinct.interval(weights)


def covered(interval: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> np.ndarray:
    return (interval[0] <= truth) & (truth <= interval[1])


def test_the_change_of_two_epochs_combines_their_intervals(survey: Survey) -> None:
    """Below the change by the root of the sum of squares of the distances (MOVER), if no device answers in both."""
    found = EpochShares.of(MECHANISM, {0: TALLIES[0], 1: TALLIES[1]}, 4)
    low, high = found.interval(np.array([-1.0, 1.0]))
    ends = [share_interval(MECHANISM.channel, table.supporting, table.n, 0.95) for table in found.tables]
    difference = found.shares[1] - found.shares[0]
    below = np.hypot(ends[0].high - found.shares[0], found.shares[1] - ends[1].low)
    above = np.hypot(found.shares[0] - ends[0].low, ends[1].high - found.shares[1])
    assert low == pytest.approx(difference - below)
    assert high == pytest.approx(difference + above)


def test_the_slope_is_that_of_the_best_line_weighted_by_reports() -> None:
    tallies = {time: Tally.of(tally.symbols, tally.counts * (1 + time % 3)) for time, tally in TALLIES.items()}
    found = Trend(EpochShares.of(MECHANISM, tallies, 6))
    for value in range(3):
        shares = found.epochs.shares[:, value]
        line = np.polyfit(found.epochs.times, shares, 1, w=np.sqrt(found.epochs.reports))
        assert found.estimate[value] == pytest.approx(line[0])


def test_a_trend_that_is_weighted_by_precision_is_biased() -> None:
    """Rejected: weights 1 / variance. A share rises from 0 to .8 and falls again at epsilon 4: the variance is small
    where the estimate is low. 60 surveys: the mean error of the weighted slope is many times its standard error."""
    mechanism, random = Direct(4, Weights.of(4.0)), np.random.default_rng(5)
    share = np.concatenate([np.linspace(0, 0.8, 9), [0.5, 0.2, 0.0]])
    truth = np.array([[f, *[(1 - f) / 3] * 3] for f in share])
    errors: dict[str, list[float]] = {"reports": [], "precision": []}
    for _ in range(60):
        drawn = {t: draw_tally(mechanism, random.multinomial(2_000, row), random) for t, row in enumerate(truth)}
        found = Trend(EpochShares.of(mechanism, drawn, 12))
        weights = 1 / found.epochs.variance(np.clip(found.epochs.shares, 0, 1))[:, 0]
        distance = found.epochs.times - weights @ found.epochs.times / weights.sum()
        slope = weights * distance @ found.epochs.shares[:, 0] / (weights @ distance**2)
        target = found.coefficients @ share
        errors["reports"].append((found.estimate[0] - target) / found.standard_error[0])
        errors["precision"].append((slope - target) / found.standard_error[0])
    assert abs(np.mean(errors["reports"])) < 0.5
    assert abs(np.mean(errors["precision"])) > 3


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_the_mean_of_epochs_in_which_the_same_devices_answer(memory: str) -> None:
    """Rejected: the interval for independent epochs. 300 surveys, nobody changes, 12 epochs at epsilon 4: it contains
    the true mean far too seldom, and the bound contains it at least 93 times in 100."""
    mechanism = build("auto", {}, 3, 4.0, 5.0 if memory == "permanent" else None)
    truth, weights = np.array([0.3, 0.5, 0.2]), np.full(12, 1 / 12)
    bound, naive = [], []
    for shares in crowds(mechanism, unchanging, 500, 1, 300):
        bound.append(covered(shares.interval(weights), truth))
        naive.append(covered(independent_interval(shares, weights), truth))
    assert np.mean(naive) < 0.7
    assert np.mean(bound) >= 0.93


@pytest.mark.slow
def test_a_trend_of_customers_who_drift_slowly() -> None:
    """Rejected: the variance for independent epochs. Customers change once, at a random moment, in a survey that they
    answer every week at epsilon 4: 500 surveys."""

    def drifting(random: np.random.Generator, n: int) -> np.ndarray:
        first, last = random.choice(3, size=(2, n), p=[0.3, 0.5, 0.2])
        moment = random.integers(12, size=n)
        return np.where(np.arange(12) < moment[:, None], first[:, None], last[:, None])

    bound, naive = [], []
    for shares in crowds(Direct(3, Weights.of(4.0)), drifting, 400, 1, 500):
        slope = Trend(shares).coefficients
        bound.append(covered(shares.interval(slope), np.zeros(3)))
        naive.append(covered(independent_interval(shares, slope), np.zeros(3)))
    assert np.mean(naive) < 0.92
    assert np.mean(bound) >= 0.94


@pytest.mark.slow
def test_an_unchanged_crowd_is_not_called_changing() -> None:
    """Rejected: the test over all epochs at once, where what each panel is like recurs. 1,500 surveys of four panels at
    epsilon 4: it finds a change more often than its level of 5%, and the test within panels does not."""
    within, over = [], []
    for shares in crowds(Direct(3, Weights.of(4.0)), unchanging, 300, 4, 1_500):
        within.append(Trend(shares).p_value < 0.05)
        over.append(Trend(EpochShares(shares.tables, shares.times, shares.times)).p_value < 0.05)
    assert np.mean(within) <= 0.05
    assert np.mean(over) > 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("repeat", "stated", "least", "most"), [(1.0, 1.0, 0.935, 0.965), (0.25, 0.25, 0.935, 0.965)])
def test_a_stated_overlap_narrows_the_change_of_permanent_answers(
    repeat: float, stated: float, least: float, most: float
) -> None:
    """600 surveys of 3,000 devices of which `repeat` answer in both epochs; nobody changes. With the true overlap the
    interval is calibrated. Rejected: assuming that all devices answer again if a quarter does."""
    mechanism, random = build("auto", {}, 4, 2.0, 2.2), np.random.default_rng(2)
    assert isinstance(mechanism, Permanent)
    inside, full, n = [], [], 3_000
    for _ in range(600):
        memory = PermanentMemory(mechanism, 2 * n, 3)
        values = random.choice(4, size=2 * n, p=[0.4, 0.3, 0.2, 0.1])
        again = np.arange(n) + n - round(repeat * n)
        tallies = {
            time: Tally.of(memory.answer(devices, values[devices], random))
            for time, devices in ((0, np.arange(n)), (1, again))
        }
        shares = EpochShares.of(mechanism, tallies, 1)
        weights = np.array([-1.0, 1.0])
        inside.append(covered(Change(shares, weights, 2 * stated * n / n**2).confidence_interval(), np.zeros(4)))
        full.append(covered(Change(shares, weights, 2 / n).confidence_interval(), np.zeros(4)))
    assert least <= np.mean(inside) <= most
    if repeat < 1:
        assert np.mean(full) < 0.925


def test_epochs_without_common_devices_are_independent() -> None:
    """Nothing is added for recurrence, in any memory and population."""
    for mechanism in (MECHANISM, Permanent.of(MECHANISM, 2.0)):
        for population in ("customers", "respondents"):
            apart = EpochShares.of(mechanism, TALLIES, 6, population)  # type: ignore[arg-type]
            again = EpochShares.of(mechanism, TALLIES, 2, population)  # type: ignore[arg-type]
            weights = report_weights(apart.reports, [True] * 6)
            assert (apart.recurs, again.recurs) == (False, True)
            assert apart.recurrence(weights) == pytest.approx(0)
            wider = np.subtract(*again.interval(weights)) / np.subtract(*apart.interval(weights))
            recurs = population == "customers" or isinstance(mechanism, Permanent)
            assert (wider[:2] > 1.001).all() == recurs
            assert (wider > 0.999).all()


def test_the_bound_is_exact_for_devices_that_never_change() -> None:
    """Of one panel, the whole sampling variance f (1 - f) / n remains in a mean, and the noise is averaged."""
    shares = EpochShares.of(MECHANISM, dict.fromkeys(range(8), TALLIES[3]), 1)
    weights = np.full(8, 1 / 8)
    f = np.clip(shares.pooled, 0, 1)
    noise = MECHANISM.channel.respondents_variance(f, TALLIES[3].n)
    assert shares.standard_error(weights) ** 2 == pytest.approx(noise / 8 + f * (1 - f) / TALLIES[3].n)


def test_without_a_panel_that_answers_twice_all_epochs_are_compared() -> None:
    """The p-value of a share that jumps is small; that of one that stays is not."""
    p_value = Trend(EpochShares.of(MECHANISM, TALLIES, 6)).p_value
    assert p_value[0] < 0.01
    assert p_value[1] > 0.99


def test_rappor_has_changes_and_trends() -> None:
    mechanism = Rappor(3, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    random = np.random.default_rng(3)
    drawn = {time: draw_tally(mechanism, np.array([150, 100, 50 + 40 * time]), random) for time in range(4)}
    for every in (1, 4):
        found = Trend(EpochShares.of(mechanism, drawn, every))
        low, high = found.confidence_interval()
        assert (low < found.estimate).all()
        assert (high - low) / 2 == pytest.approx(Z * found.standard_error)
        assert ((found.p_value >= 0) & (found.p_value <= 1)).all()


def test_a_change_takes_ranges_and_an_overlap(survey: Survey) -> None:
    question = survey.question("frequency")
    tally = Tally.of(range(3), [500, 400, 300])
    early, late = {"2026-W45": tally, "2026-W46": tally}, {"2026-W47": tally}
    found = change(question, survey, early, late)
    assert found.coefficients.tolist() == [-0.5, -0.5, 1]
    assert found.estimate == pytest.approx(np.zeros(3), abs=1e-12)
    assert trend(question, survey, early | late).estimate == pytest.approx(np.zeros(3), abs=1e-12)
    for arguments, message in (
        ((early, early), "the ranges must not share an epoch, but 2026-W45 is in both"),
        ((early, {}), "a change needs at least one epoch with reports on each side"),
        ((early, late, "customers", 5), "an overlap needs memory = 'permanent' and two single epochs"),
    ):
        with pytest.raises(EstimateError, match=message):
            change(question, survey, *arguments)  # type: ignore[arg-type]
    with pytest.raises(EstimateError, match="a trend needs at least two epochs with reports, got 1"):
        trend(question, survey, late)
    with pytest.raises(EstimateError, match="a statistic over epochs needs at least one epoch with reports"):
        EpochShares.of(MECHANISM, {})


def test_an_overlap_is_at_most_the_reports_of_an_epoch(survey_text: str) -> None:
    text = survey_text.replace(
        "answers_every = 4", 'answers_every = 1\nmemory = "permanent"\nepsilon_permanent = 2.0\nchanges = 2'
    )
    survey = Survey.parse(text)
    tally = Tally.of(range(3), [500, 400, 300])
    plain = change(survey.question("frequency"), survey, {"2026-W45": tally}, {"2026-W46": tally})
    stated = change(survey.question("frequency"), survey, {"2026-W45": tally}, {"2026-W46": tally}, overlap=600)
    assert (stated.standard_error < plain.standard_error).all()
    for overlap in (-1, 1_201):
        with pytest.raises(EstimateError, match=f"an overlap must be from 1 to 1,200, got {overlap:,}"):
            change(survey.question("frequency"), survey, {"2026-W45": tally}, {"2026-W46": tally}, overlap=overlap)
