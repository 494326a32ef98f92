"""Proofs by enumeration of the shipped code: every mechanism is private, tight and unbiased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from itertools import combinations_with_replacement, product
from math import inf, prod
from typing import Any

import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import (
    Direct,
    Mechanism,
    Optimized,
    Permanent,
    PermanentMechanism,
    Rappor,
    Subset,
    Weights,
    build,
)
from hushtally.client_sdk.mechanisms.base import exponential, logarithm
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.enumeration import TOLERANCE, Distribution, distribution, largest_ratio
from hushtally.client_sdk.mechanisms.permanent import GAMMA_DENOMINATOR
from hushtally.client_sdk.randomness import Randomness

SMALL: list[tuple[str, dict[str, object], int]] = [
    ("direct", {}, 2),
    ("direct", {}, 5),
    ("subset", {"w": 1}, 3),
    ("subset", {"w": 2}, 5),
    ("subset", {"w": 4}, 6),
    ("subset", {"w": 3}, 8),
    ("affine", {"r": 2, "w": 1}, 2),
    ("affine", {"r": 5, "w": 2}, 4),
    ("affine", {"r": 7, "w": 3}, 7),
    ("affine", {"r": 13, "w": 6}, 12),
    ("affine", {"r": 9, "w": 4}, 8),
    ("affine", {"r": 3, "w": 1, "t": 2}, 9),
    ("affine", {"r": 2, "w": 1, "t": 3}, 7),
    ("projective", {"r": 2, "t": 2}, 3),
    ("projective", {"r": 5, "t": 2}, 4),
    ("projective", {"r": 2, "t": 4}, 15),
    ("projective", {"r": 3, "t": 3}, 12),
    ("projective", {"r": 5, "t": 3}, 9),
    ("sue", {}, 2),
    ("sue", {}, 6),
    ("oue", {}, 2),
    ("oue", {}, 6),
]
PERMANENT: list[tuple[str, dict[str, object], int]] = [
    ("direct", {}, 2),
    ("direct", {}, 4),
    ("subset", {"w": 2}, 4),
    ("affine", {"r": 3, "w": 1}, 3),
    ("affine", {"r": 2, "w": 1, "t": 2}, 4),
    ("projective", {"r": 2, "t": 3}, 5),
    ("sue", {}, 3),
    ("oue", {}, 3),
]
RAPPORS: list[dict[str, object]] = [
    {"k": 3, "h": 1, "m": 2, "f": 0.5, "p": 0.25, "q": 0.75},
    {"k": 3, "h": 2, "m": 1, "f": 0.25, "p": 0.4, "q": 0.6},
    {"k": 2, "h": 1, "m": 2, "f": 0.3, "p": 0, "q": 1},
]


def repeated(
    permanent: Distribution[int], reports: Mapping[int, Distribution[int]], times: int
) -> dict[tuple[int, ...], Fraction]:
    """The probability of each sequence of `times` reports of one answer.

    Only sorted sequences are listed: every order of the same reports is equally likely. permanent: the distribution of
    the permanent symbol. reports: the distribution of one report, for every permanent symbol.
    """
    symbols = sorted({symbol for distribution_ in reports.values() for symbol in distribution_})
    zero = Fraction(0)
    return {
        seen: sum(
            (
                probability * prod(reports[stored].get(symbol, zero) for symbol in seen)
                for stored, probability in permanent.items()
            ),
            zero,
        )
        for seen in combinations_with_replacement(symbols, times)
    }


def findings(
    mechanism: Mechanism, epsilon: float, epsilon_permanent: float | None = None, reports: int = 3
) -> list[str]:
    """The violations of a mechanism that claims these epsilons, one line each. An empty list is a proof.

    Enumerates every report and compares exact fractions. All probability is on valid symbols. The largest log ratio is
    at most epsilon and, except for RAPPOR, at most 1e-9 below epsilon. Support rates equal the channel, so that
    debiasing is exact on average. With epsilon_permanent, the permanent draw and several reports of one answer are
    checked, too. For small domains only: the work grows with the number of symbols, to the power 1 + reports with
    permanent memory.
    """
    values = range(mechanism.domain)
    found: list[str] = []
    one_report = [distribution(partial(mechanism.perturb, value)) for value in values]
    for value, symbols in enumerate(one_report):
        if sum(symbols.values()) != 1 or not all(0 <= symbol < mechanism.symbols for symbol in symbols):
            found.append(f"value {value}: a symbol is outside 0..{mechanism.symbols - 1}")
    tight = not isinstance(mechanism, Rappor)  # if hashes collide, its formula is an upper bound
    found += _excess("one report", largest_ratio(one_report), epsilon, tight)
    if tight:
        found += _channel_errors(mechanism, one_report)
    if epsilon_permanent is not None:
        if not isinstance(mechanism, PermanentMechanism):
            return [*found, "the mechanism has no permanent memory"]
        draws = [distribution(partial(mechanism.draw, value)) for value in values]
        found += _excess("the permanent symbol", largest_ratio(draws), epsilon_permanent, tight)
        stored = {symbol for draw in draws for symbol in draw}
        repeats = {symbol: distribution(partial(mechanism.repeat, symbol)) for symbol in stored}
        together = [repeated(draw, repeats, reports) for draw in draws]
        found += _excess(f"{reports} reports of one answer", largest_ratio(together), epsilon_permanent, False)
    return found


def _excess(what: str, ratio: Fraction | float, epsilon: float, tight: bool) -> list[str]:
    if not isinstance(ratio, Fraction):
        return [f"{what} can rule out a value"]
    if ratio > Fraction(exponential(epsilon)):
        return [f"{what} loses {logarithm(ratio):.12g}, more than the claimed {epsilon:g}"]
    if tight and logarithm(ratio) < epsilon - TOLERANCE:
        return [f"{what} loses {logarithm(ratio):.12g}, less than the claimed {epsilon:g}: not tight"]
    return []


def _channel_errors(mechanism: Mechanism, one_report: Sequence[Distribution[int]]) -> list[str]:
    channel = mechanism.exact_channel
    errors = []
    for truth, symbols in enumerate(one_report):
        for value in range(mechanism.domain):
            rate = sum(probability for symbol, probability in symbols.items() if mechanism.supports(symbol, value))
            expected = channel.p if value == truth else channel.q
            if rate != expected:
                errors.append(
                    f"value {value} is supported at the rate {float(rate):.12g} if the true value is {truth}, "
                    f"but the channel states {float(expected):.12g}"
                )
    return errors


def rappor(domain: int, parameters: Mapping[str, object]) -> Rappor:
    mechanism = build("rappor", parameters, domain, 8.0)
    assert isinstance(mechanism, Rappor)
    return mechanism


@pytest.mark.parametrize("epsilon", [0.01, 0.25, 1.0, 2.7, 8.0])
@pytest.mark.parametrize(("name", "parameters", "domain"), SMALL)
def test_one_report_is_private_tight_and_unbiased(
    name: str, parameters: dict[str, object], domain: int, epsilon: float
) -> None:
    """The largest log ratio is at most epsilon and within 1e-9 of it. The mean of debias is exactly the truth."""
    assert findings(build(name, parameters, domain, epsilon), epsilon) == []


@pytest.mark.parametrize(
    ("epsilon", "epsilon_permanent"), [(0.25, 0.5), (1.0, 2.0), (1.0, 8.0), (2.0, 2.0), (0.01, 4.0)]
)
@pytest.mark.parametrize(("name", "parameters", "domain"), PERMANENT)
def test_permanent_memory_is_private_and_tight(
    name: str, parameters: dict[str, object], domain: int, epsilon: float, epsilon_permanent: float
) -> None:
    """One report loses epsilon, the permanent symbol epsilon_permanent, and 3 reports at most epsilon_permanent."""
    mechanism = build(name, parameters, domain, epsilon, epsilon_permanent)
    assert findings(mechanism, epsilon, epsilon_permanent) == []


@pytest.mark.parametrize("parameters", RAPPORS)
def test_rappor_never_exceeds_its_formulas(parameters: dict[str, object]) -> None:
    """Checks one report, the permanent symbol and 3 reports of one answer."""
    mechanism = rappor(3, parameters)
    assert findings(mechanism, mechanism.epsilon + 1e-12, mechanism.epsilon_permanent + 1e-12) == []
    reports = [distribution(partial(mechanism.perturb, value)) for value in range(3)]
    assert largest_ratio(reports) <= mechanism.ratio
    draws = [distribution(partial(mechanism.draw, value)) for value in range(3)]
    assert largest_ratio(draws) <= mechanism.permanent_ratio


def test_rappor_reaches_its_formulas_if_hashes_do_not_collide() -> None:
    """Two values with h bits each and no common bit have exactly the likelihood ratio of the formulas."""
    mechanism = rappor(6, {"k": 6, "h": 2, "m": 1, "f": 0.5, "p": 0.25, "q": 0.75})
    bits = [mechanism.bits(0, value) for value in range(6)]
    pair = next((a, b) for a in range(6) for b in range(a) if (bits[a] | bits[b]).bit_count() == 4)
    assert largest_ratio([distribution(partial(mechanism.perturb, value)) for value in pair]) == mechanism.ratio
    assert largest_ratio([distribution(partial(mechanism.draw, value)) for value in pair]) == mechanism.permanent_ratio


@pytest.mark.parametrize("parameters", RAPPORS)
def test_every_bit_of_rappor_follows_the_channel(parameters: dict[str, object]) -> None:
    """The channel is the permanent stage, followed by the instantaneous stage."""
    mechanism = rappor(3, parameters)
    permanent = Channel(1 - mechanism.f / 2, mechanism.f / 2)
    expected = permanent.p * mechanism.q + (1 - permanent.p) * mechanism.p
    assert mechanism.exact_channel.p == expected
    for value, place in product(range(3), range(mechanism.k)):
        rates = {group: Fraction(0) for group in range(mechanism.m)}
        for symbol, probability in distribution(partial(mechanism.perturb, value)).items():
            rates[symbol >> mechanism.k] += mechanism.m * probability * (symbol >> place & 1)
        for group, rate in rates.items():
            channel = mechanism.exact_channel
            assert rate == (channel.p if mechanism.bits(group, value) >> place & 1 else channel.q)


Tables = tuple[list[dict[int, Fraction]], dict[int, dict[int, Fraction]]]


def tables(mechanism: PermanentMechanism, previous: int | None = None) -> Tables:
    draws = [distribution(partial(mechanism.draw, value, previous=previous)) for value in range(3)]
    stored = {symbol for draw in draws for symbol in draw}
    return draws, {symbol: distribution(partial(mechanism.repeat, symbol)) for symbol in stored}


def largest_history_excess(tables: Tables, bound: Fraction) -> Fraction:
    """The largest likelihood ratio of four reports under two histories that change at the same times.

    The ratio is divided by bound^(number of distinct answers), so that a result of at most 1 is a proof.
    """
    draws, reports = tables

    @cache
    def likelihood(value: int, seen: tuple[int, ...]) -> Fraction:
        return sum(
            (
                p * prod(reports[stored].get(symbol, Fraction(0)) for symbol in seen)
                for stored, p in draws[value].items()
            ),
            Fraction(0),
        )

    same_pattern: dict[tuple[int, ...], list[list[int]]] = {}
    for history in product(range(3), repeat=4):
        answers = list(dict.fromkeys(history))
        same_pattern.setdefault(tuple(map(answers.index, history)), []).append(answers)
    symbols = {symbol for report in reports.values() for symbol in report}
    worst = Fraction(0)
    for pattern, histories in same_pattern.items():
        distinct = max(pattern) + 1
        for seen in product(symbols, repeat=4):
            blocks = [tuple(s for s, k in zip(seen, pattern, strict=True) if k == block) for block in range(distinct)]
            likelihoods = [prod(map(likelihood, answers, blocks)) for answers in histories]
            worst = max(worst, max(likelihoods) / min(likelihoods) / bound**distinct)
    return worst


@pytest.mark.parametrize(
    ("name", "parameters", "epsilon_permanent"),
    [("direct", {}, 2.0), ("subset", {"w": 2}, 3.0), pytest.param("oue", {}, 2.0, marks=pytest.mark.slow)],
)
def test_histories_with_the_same_times_of_change_are_protected(
    name: str, parameters: dict[str, object], epsilon_permanent: float
) -> None:
    """3 values over 4 epochs: the log ratio is at most (number of distinct answers) x epsilon_permanent."""
    mechanism = build(name, parameters, 3, 1.0, epsilon_permanent)
    assert isinstance(mechanism, Permanent)
    assert largest_history_excess(tables(mechanism), mechanism.permanent_ratio) <= 1


def test_rappor_histories_with_the_same_times_of_change_are_protected() -> None:
    """The same for RAPPOR, which draws the hash group once and reuses it."""
    mechanism = rappor(3, {"k": 2, "h": 1, "m": 2, "f": 0.5, "p": 0.25, "q": 0.75})
    for group in range(2):
        assert largest_history_excess(tables(mechanism, group << 2), mechanism.permanent_ratio) <= 1


def test_the_times_of_change_are_not_protected() -> None:
    """Documents the limit of permanent memory: a, b, a, b against a, a, a, a has the log ratio 2.6."""
    mechanism = build("direct", {}, 2, 1.0, 2.0)
    assert isinstance(mechanism, Permanent)
    draws, reports = tables_of_two(mechanism)
    worst = Fraction(0)
    for seen in product(range(2), repeat=4):
        same = sum(p * prod(reports[x][s] for s in seen) for x, p in draws[0].items())
        switching = prod(
            sum(p * prod(reports[x][s] for s in seen[value::2]) for x, p in draws[value].items()) for value in range(2)
        )
        worst = max(worst, switching / same, same / switching)
    assert round(logarithm(worst), 1) == 2.6


def tables_of_two(mechanism: PermanentMechanism) -> Tables:
    draws = [distribution(partial(mechanism.draw, value)) for value in range(2)]
    return draws, {symbol: distribution(partial(mechanism.repeat, symbol)) for symbol in range(2)}


class LeakedBit(Optimized):
    """Always sets the bit of the true value."""

    def perturb(self, value: int, randomness: Randomness) -> int:
        return super().perturb(value, randomness) | 1 << value


class TrueValueFirst(Subset):
    """Sends the set as a list in base d, which starts with the true value if the set contains it."""

    @property
    def symbols(self) -> int:
        return self.domain**self.w

    def perturb(self, value: int, randomness: Randomness) -> int:
        members = self.members(Subset(self.domain, self.weights, self.w).perturb(value, randomness))
        members.sort(key=lambda member: member != value)
        return sum(member * self.domain**place for place, member in enumerate(members))

    def supports(self, symbol: int, value: int) -> bool:
        return any(symbol // self.domain**place % self.domain == value for place in range(self.w))


class OffBy(Direct):
    """Sends the true value 2% too often, or too rarely."""

    percent = 102

    def perturb(self, value: int, randomness: Randomness) -> int:
        favourable, outcomes = self._odds
        truth = randomness.coin(favourable * self.percent, outcomes * 100)
        return self.draw_supporting(value, randomness) if truth else self.draw_other(value, randomness)


class OffByLess(OffBy):
    percent = 98


@dataclass(frozen=True)
class Redrawn(Permanent):
    """Draws a new permanent symbol for every report."""

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return value

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return super().repeat(super().draw(permanent, randomness), randomness)


class GammaTooLarge(Permanent):
    """Sends the permanent symbol too often."""

    _gamma_numerator = GAMMA_DENOMINATOR * 3 // 4


EPSILON_1, EPSILON_2 = Weights.of(1.0), Weights.of(2.0)
BROKEN: list[tuple[Any, list[float], list[str]]] = [
    (LeakedBit.of(3, 1.0), [1.0], ["rule out a value", "supported at the rate 1 "]),
    (TrueValueFirst(3, EPSILON_1, 2), [1.0], ["one report can rule out a value"]),
    (OffBy(3, EPSILON_1), [1.0], ["more than the claimed 1", "supported at the rate"]),
    (OffByLess(3, EPSILON_1), [1.0], ["less than the claimed 1: not tight", "supported at the rate"]),
    (
        Redrawn(Direct(3, EPSILON_1), Direct(3, EPSILON_2)),
        [1.0, 2.0],
        ["3 reports of one answer loses", "permanent symbol can"],
    ),
    (
        GammaTooLarge(Direct(3, EPSILON_1), Direct(3, EPSILON_2)),
        [1.0, 2.0],
        ["one report loses", "more than the claimed 1"],
    ),
    (Direct(3, EPSILON_1), [1.0, 2.0], ["the mechanism has no permanent memory"]),
]


@pytest.mark.parametrize(("mechanism", "claimed", "messages"), BROKEN)
def test_broken_mechanisms_are_caught(mechanism: Any, claimed: list[float], messages: list[str]) -> None:
    """The checks above find mistakes that other packages have shipped in their clients."""
    found = " ".join(findings(mechanism, *claimed))
    for message in messages:
        assert message in found


def test_a_symbol_out_of_range_is_caught() -> None:
    class TooLarge(Direct):
        def perturb(self, value: int, randomness: Randomness) -> int:
            return super().perturb(value, randomness) + 1

    assert "value 0: a symbol is outside 0..2" in findings(TooLarge(3, EPSILON_1), 1.0)


def test_epsilon_is_checked_from_both_sides() -> None:
    """A mechanism for epsilon 1 fails if it claims 1 - 1e-9, and also if it claims 1 + 2e-9."""
    mechanism = build("direct", {}, 3, 1.0)
    assert findings(mechanism, 1.0) == []
    assert findings(mechanism, 1.0 - 1e-9) != []
    assert findings(mechanism, 1.0 + 2e-9) != []


def test_a_distribution_weights_every_branch() -> None:
    """For nested and unequal draws, the probabilities are exact and sum to one."""

    def draw(randomness: Randomness) -> int:
        if randomness.coin(1, 3):
            return randomness.below(2)
        return 2 + randomness.below(1) + randomness.coin(2, 2) + randomness.coin(0, 2)

    assert distribution(draw) == {0: Fraction(1, 6), 1: Fraction(1, 6), 3: Fraction(2, 3)}


def test_only_below_and_coin_can_be_enumerated() -> None:
    with pytest.raises(
        MechanismError, match="enumeration needs draws through `below` and `coin`, but `word` was called"
    ):
        distribution(lambda randomness: randomness.word())


def test_an_impossible_outcome_is_an_infinite_ratio() -> None:
    certain: dict[int, Fraction] = {0: Fraction(1)}
    assert largest_ratio([certain, {0: Fraction(1, 2), 1: Fraction(1, 2)}]) == inf
    assert largest_ratio([certain, certain]) == 1
