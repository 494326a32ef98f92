"""Proofs of a question's bounds: every branch of the shipped code runs once, and exact probabilities are added up."""

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
from hushtally.simulations.audit.breaches import epsilon_exceeded, invalid_symbol, wrong_support_rate
from hushtally.simulations.audit.certificate import ENUMERATION, Finding

MAX_BRANCHES = 2**20  # take about a minute
Distribution = Mapping[int, Fraction]


class TooManyBranches(Exception):
    """The code has more branches than may run."""


def prove_one_report(
    question: Question, max_branches: int = MAX_BRANCHES, progress: Callable[[], object] = lambda: None
) -> Finding:
    """The exact epsilon of one report, and whether the support rates are the channel's.

    Runs every branch of the mechanism's `perturb`, and calls progress once for each. Raises TooManyBranches if there
    are more than max_branches, and MechanismError if the code draws in a way that cannot be enumerated.
    """
    mechanism = question.mechanism
    reports = _distributions(mechanism, mechanism.perturb, max_branches, progress)
    return _finding(question, "one report", question.epsilon, reports, _breaches(mechanism, reports))


def prove_all_reports(
    question: Question, max_branches: int = MAX_BRANCHES, progress: Callable[[], object] = lambda: None
) -> Finding:
    """The exact epsilon of all reports of one answer from permanent memory; see `prove_one_report`.

    `repeat` sees only the permanent symbol. All reports together therefore reveal at most what this symbol reveals.
    """
    mechanism = question.mechanism
    assert isinstance(mechanism, PermanentMechanism)
    assert question.epsilon_permanent is not None
    permanent_symbols = _distributions(mechanism, mechanism.draw, max_branches, progress)
    return _finding(question, "all reports of one answer", question.epsilon_permanent, permanent_symbols, [])


def _distributions(
    mechanism: Mechanism, draw: Callable[[int, Randomness], int], max_branches: int, progress: Callable[[], object]
) -> list[Distribution]:
    """The exact distribution of `draw` for every value."""
    if mechanism.symbols * mechanism.domain > max_branches:
        raise TooManyBranches
    left = max_branches

    def counted_draw(value: int, randomness: Randomness) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooManyBranches
        progress()
        return draw(value, randomness)

    return [distribution(partial(counted_draw, value)) for value in range(mechanism.domain)]


def _finding(
    question: Question, bound: str, claimed: float, distributions: Sequence[Distribution], breaches: list[str]
) -> Finding:
    mechanism = question.mechanism
    ratio = largest_ratio(distributions)
    epsilon = logarithm(ratio) if isinstance(ratio, Fraction) else None
    if epsilon is None:
        breaches = ["a symbol can rule out a value: epsilon is infinite", *breaches]
    elif epsilon > claimed:
        breaches = [epsilon_exceeded(f"{epsilon:.12g}", claimed), *breaches]
    elif epsilon < claimed - TOLERANCE and not isinstance(mechanism, Rappor):  # colliding hashes lower rappor's epsilon
        breaches = [f"the epsilon is only {epsilon:.12g}; {claimed:g} would allow more accurate estimates", *breaches]
    return Finding(
        question.id, mechanism.label, mechanism.domain, mechanism.symbols, bound, claimed, ENUMERATION,
        epsilon, None, None, None, None, tuple(breaches),
    )  # fmt: skip


def _breaches(mechanism: Mechanism, reports: Sequence[Distribution]) -> list[str]:
    """Symbols that the mechanism does not have, or else support rates that are not the channel's."""
    symbols = sorted({symbol for distribution in reports for symbol in distribution})
    if invalid := [symbol for symbol in symbols if not 0 <= symbol < mechanism.symbols]:
        return [invalid_symbol(invalid[0], mechanism)]
    if isinstance(mechanism, Rappor):
        return []
    probabilities = np.array([[float(one.get(symbol, 0)) for symbol in symbols] for one in reports])
    supports = np.array(
        [[mechanism.supports(symbol, value) for value in range(mechanism.domain)] for symbol in symbols]
    )
    rates = probabilities @ supports
    channel: Channel = mechanism.channel
    expected = np.where(np.eye(mechanism.domain, dtype=bool), float(channel.p), float(channel.q))
    errors = np.abs(rates - expected)
    if errors.max() <= TOLERANCE:
        return []
    truth, value = (int(index) for index in np.unravel_index(int(errors.argmax()), errors.shape))
    return [wrong_support_rate(value, truth, f"{rates[truth, value]:.12g}", f"{expected[truth, value]:.12g}")]
