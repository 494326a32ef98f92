"""Proof of a question's bounds: every branch of the shipped code is run once and its exact chance added up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial

import numpy as np

from hushtally.client_sdk.mechanisms import Mechanism, PermanentMechanism, Rappor
from hushtally.client_sdk.mechanisms.base import logarithm
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.enumeration import TOLERANCE, distribution, largest_ratio
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.audit.certificate import ENUMERATION, Finding

MOST_BRANCHES = 2**20  # about a minute
Distribution = Mapping[int, Fraction]


class TooManyBranches(Exception):
    """The code draws from more possibilities than may be run one by one."""


def prove_one_report(
    question: Question, most: int = MOST_BRANCHES, progress: Callable[[], object] = lambda: None
) -> Finding:
    """What one report tells, and whether support rates are the channel's: exactly.

    Runs the mechanism's `perturb` through at most so many branches in all, one call of progress each; TooManyBranches
    beyond. MechanismError if the code draws in a way that cannot be enumerated.
    """
    mechanism = question.mechanism
    reports = _enumerated(mechanism, mechanism.perturb, most, progress)
    return _finding(question, "one report", question.epsilon, reports, _strays(mechanism, reports))


def prove_all_reports(
    question: Question, most: int = MOST_BRANCHES, progress: Callable[[], object] = lambda: None
) -> Finding:
    """What all reports of one answer from permanent memory tell: no more than the permanent symbol, exactly.

    `repeat` sees nothing but that symbol, so no number of reports can tell more than it does. See prove_one_report.
    """
    mechanism = question.mechanism
    assert isinstance(mechanism, PermanentMechanism)
    assert question.epsilon_permanent is not None
    draws = _enumerated(mechanism, mechanism.draw, most, progress)
    return _finding(question, "all reports of one answer", question.epsilon_permanent, draws, [])


def _enumerated(
    mechanism: Mechanism, draw: Callable[[int, Randomness], int], most: int, progress: Callable[[], object]
) -> list[Distribution]:
    """The exact distribution of `draw` for every value."""
    if mechanism.symbols * mechanism.domain > most:
        raise TooManyBranches
    left = most

    def counted(value: int, randomness: Randomness) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooManyBranches
        progress()
        return draw(value, randomness)

    return [distribution(partial(counted, value)) for value in range(mechanism.domain)]


def _finding(
    question: Question, bound: str, claimed: float, chances: Sequence[Distribution], breaches: list[str]
) -> Finding:
    mechanism = question.mechanism
    ratio = largest_ratio(chances)
    epsilon = logarithm(ratio) if isinstance(ratio, Fraction) else None
    if epsilon is None:
        breaches = ["a symbol can rule a value out: the ratio is infinite", *breaches]
    elif epsilon > claimed:
        breaches = [f"it tells {epsilon:.12g}, more than the {claimed:g} claimed", *breaches]
    elif epsilon < claimed - TOLERANCE and not isinstance(mechanism, Rappor):  # where hashes collide it tells less
        breaches = [f"it tells {epsilon:.12g}, so that accuracy for {claimed:g} is given away", *breaches]
    return Finding(
        question.id, mechanism.label, mechanism.domain, mechanism.symbols, bound, claimed, ENUMERATION,
        epsilon, None, None, None, None, tuple(breaches),
    )  # fmt: skip


def _strays(mechanism: Mechanism, reports: Sequence[Distribution]) -> list[str]:
    """Symbols that are none, and support rates that are not the channel's."""
    strays = {symbol for one in reports for symbol in one if not 0 <= symbol < mechanism.symbols}
    if strays:
        return [f"symbol {min(strays)} is not one of its {mechanism.symbols:,}"]
    if isinstance(mechanism, Rappor):
        return []
    symbols = sorted({symbol for one in reports for symbol in one})
    chances = np.array([[float(one.get(symbol, 0)) for symbol in symbols] for one in reports])
    supports = np.array(
        [[mechanism.supports(symbol, value) for value in range(mechanism.domain)] for symbol in symbols]
    )
    rates = chances @ supports
    channel: Channel = mechanism.channel
    expected = np.where(np.eye(mechanism.domain, dtype=bool), float(channel.p), float(channel.q))
    off = np.abs(rates - expected)
    if off.max() <= TOLERANCE:
        return []
    truth, value = np.unravel_index(int(off.argmax()), off.shape)
    return [
        f"value {value} is supported at the rate {rates[truth, value]:.12g} when the truth is {truth}; its channel says"
        f" {expected[truth, value]:.12g}, so that estimates are biased"
    ]
