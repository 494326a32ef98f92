"""Audits: whether a survey's questions keep the epsilon they claim, by proof or by watching the shipped client."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, betaincinv

from aggregator.tally import Integers
from client_sdk.errors import MechanismError
from client_sdk.mechanisms import Mechanism, Rappor
from client_sdk.questions import Question
from client_sdk.randomness import Randomness, SystemRandomness
from client_sdk.survey import Survey
from client_sdk.testing import SeededRandomness
from simulations.certificate import STATISTICS, Certificate, Finding
from simulations.errors import ArgumentError
from simulations.proof import MOST_BRANCHES, TooManyBranches, prove_all_reports, prove_one_report
from simulations.witness import watch

METHODS = ("auto", "enumeration", "statistics")
TRIALS = 200_000  # reports per value
CONFIDENCE = 0.95  # of the lower bound that is shown
FALSE_ALARM = 1e-6  # chance that a question that keeps its bound is called broken
REPEATS = 16  # reports of one answer that are looked at together
SEQUENCES = 10_000
ANSWERS = 8  # of one device: each takes longer the more there were before, a new device takes longest

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Event:
    """Something that may be true of what a device sends, and how often it was, of so many, for two values."""

    name: str
    likely: int
    other: int
    trials: int

    def lower_bound(self, error: float) -> float:
        """What the event's log ratio is at least, but for an error of so much: Clopper-Pearson on both sides."""
        low = betaincinv(self.likely, self.trials - self.likely + 1, error / 2) if self.likely else 0.0
        high = betaincinv(self.other + 1, self.trials - self.other, 1 - error / 2) if self.other < self.trials else 1.0
        return math.log(low / high) if low > 0 else -math.inf


def audit(
    survey: Survey,
    method: str = "auto",
    trials: int = TRIALS,
    seed: int | None = None,
    branches: int = MOST_BRANCHES,
    progress: Callable[[], object] = lambda: None,
) -> Certificate:
    """A certificate about every question that the survey asks.

    method: "enumeration" proves a bound by running every branch of the mechanism's code, at most `branches` of them;
    "statistics" watches `trials` reports of the shipped client for each of a few values; "auto" does the first where
    it can. With permanent memory the client is always watched as well: reusing an answer is its part, not the
    mechanism's. seed: of simulated randomness; None: the system's, as on a device. ArgumentError where enumeration
    was demanded and is too much.
    """
    if method not in METHODS:
        raise ArgumentError("method", f"must be one of {', '.join(METHODS)}, got {method!r}")
    if trials < 1_000:
        raise ArgumentError("trials", f"must be at least 1,000, got {trials}")
    source = _source(seed)
    findings: list[Finding] = []
    for question in survey.asked:
        proven = _proven(prove_one_report, question, method, branches, progress)
        findings.append(proven or _one_report(survey, question, trials, source, progress))
        if question.epsilon_permanent is not None:
            proven = _proven(prove_all_reports, question, method, branches, progress)
            findings += [proven] if proven else []
            findings.append(_many_reports(survey, question, min(trials, SEQUENCES), source, progress))
    return Certificate.of(survey, "the system's" if seed is None else f"simulated, seed {seed}", findings)


def _source(seed: int | None) -> Callable[[], Randomness]:
    if seed is None:
        return SystemRandomness
    seeds = np.random.default_rng(seed)
    return lambda: SeededRandomness(int(seeds.integers(2**63)))


def _proven(
    prove: Callable[[Question, int, Callable[[], object]], Finding],
    question: Question,
    method: str,
    branches: int,
    progress: Callable[[], object],
) -> Finding | None:
    """A proof, or None where the method does not ask for one or, being free to choose, cannot have it."""
    if method == "statistics":
        return None
    try:
        return prove(question, branches, progress)
    except TooManyBranches:
        if method == "enumeration":
            raise ArgumentError(
                "method",
                f"enumeration runs at most {branches:,} branches, and {question.id} has more; auto or statistics watch"
                " the client instead",
            ) from None
    except MechanismError:
        if method == "enumeration":
            raise
    return None


def _one_report(
    survey: Survey,
    question: Question,
    trials: int,
    source: Callable[[], Randomness],
    progress: Callable[[], object],
) -> Finding:
    """Events of one report for every ordered pair of a few values, and the rates at which values are supported."""
    length = 1 if survey.permanent else ANSWERS
    sent = {
        value: watch(survey, question, value, math.ceil(trials / length), length, source, progress).ravel()[:trials]
        for value in _values(question.mechanism)
    }
    events = [event for pair in permutations(sent, 2) for event in _events(question.mechanism, pair, sent)]
    breaches = _stray_symbols(question.mechanism, sent) or _strange_rates(question.mechanism, sent)
    return _finding(question, "one report", question.epsilon, events, breaches)


def _many_reports(
    survey: Survey,
    question: Question,
    sequences: int,
    source: Callable[[], Randomness],
    progress: Callable[[], object],
) -> Finding:
    """How often one value outweighs another in many reports of one unchanged answer: memory is what bounds it."""
    assert question.epsilon_permanent is not None
    pair = _values(question.mechanism)[:2]
    scores = {}
    for value in pair:
        sent = watch(survey, question, value, sequences, REPEATS, source, progress)
        votes = [_supporting(question.mechanism, sent, one).astype(np.int64) for one in pair]
        scores[value] = (votes[0] - votes[1]).sum(axis=1)
    learning = sequences // 2

    def event(chosen: tuple[int, int], rows: slice) -> Event:
        sign, least = chosen
        likely, other = ((sign * scores[value][rows] >= least).sum() for value in pair[::sign])
        words = f"in {REPEATS} reports value {pair[::sign][0]} is supported {least} times more than {pair[::sign][1]}"
        return Event(words, int(likely), int(other), len(scores[pair[0]][rows]))

    candidates = [(sign, least) for sign in (1, -1) for least in range(-REPEATS, REPEATS + 1)]
    best = max(candidates, key=lambda one: event(one, slice(learning)).lower_bound(1 - CONFIDENCE))
    bound = f"{REPEATS} reports of one answer"
    return _finding(question, bound, question.epsilon_permanent, [event(best, slice(learning, None))], [])


def _finding(question: Question, bound: str, claimed: float, events: Sequence[Event], breaches: list[str]) -> Finding:
    """The lower bound is the first event's, which was chosen beforehand; any event may show a breach."""
    mechanism, first = question.mechanism, events[0]
    certain = [(event.lower_bound(FALSE_ALARM / len(events)), event.name) for event in events]
    worst, name = max(certain)
    if worst > claimed:
        breaches = [*breaches, f"it tells at least {worst:.4f}, more than the {claimed:g} claimed: {name}"]
    return Finding(
        question.id, mechanism.label, mechanism.domain, mechanism.symbols, bound, claimed, STATISTICS,
        None, first.lower_bound(1 - CONFIDENCE), CONFIDENCE, first.trials, first.name, tuple(breaches),
    )  # fmt: skip


def _values(mechanism: Mechanism) -> list[int]:
    """The values that devices are told: the first two and the last."""
    return sorted({0, 1, mechanism.domain - 1})


def _supporting(mechanism: Mechanism, sent: Integers, value: int) -> Mask:
    symbols, where = np.unique(sent, return_inverse=True)
    return np.array([mechanism.supports(symbol, value) for symbol in symbols.tolist()])[where].reshape(sent.shape)


def _events(mechanism: Mechanism, pair: tuple[int, int], sent: Mapping[int, Integers]) -> Iterator[Event]:
    """What may tell two values apart: the event that the mechanism is made for, every binary digit of the symbol, and
    sets of symbols that a quarter of the reports, which then count no more, suggest."""
    likely, other = (sent[value] for value in pair)
    n = len(likely)
    told = [_supporting(mechanism, one, pair[0]) & ~_supporting(mechanism, one, pair[1]) for one in (likely, other)]
    yield Event(f"value {pair[0]} is supported and {pair[1]} is not", int(told[0].sum()), int(told[1].sum()), n)
    for digit in range((mechanism.symbols - 1).bit_length()):
        ones = [int((one >> digit & 1).sum()) for one in (likely, other)]
        yield Event(f"binary digit {digit} of the symbol is 1 (value {pair[0]}, not {pair[1]})", ones[0], ones[1], n)
        yield Event(
            f"binary digit {digit} of the symbol is 0 (value {pair[0]}, not {pair[1]})", n - ones[0], n - ones[1], n
        )
    quarter = n // 4
    symbols, where = np.unique(np.concatenate([likely[:quarter], other[:quarter]]), return_inverse=True)
    counts = [np.bincount(one, minlength=symbols.size) for one in (where[:quarter], where[quarter:])]
    for words, chosen in (
        ("never", counts[1] == 0),
        ("too seldom", counts[0] > float(mechanism.ratio) * counts[1]),
        ("less often", counts[0] > counts[1]),
    ):
        hits = [int(np.isin(one[quarter:], symbols[chosen]).sum()) for one in (likely, other)]
        yield Event(
            f"the symbol is one that value {pair[1]} sent {words} beside {pair[0]}", hits[0], hits[1], n - quarter
        )


def _stray_symbols(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    largest = max(int(one.max()) for one in sent.values())
    return [f"symbol {largest} is not one of its {mechanism.symbols:,}"] if largest >= mechanism.symbols else []


def _strange_rates(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    """Support rates that the channel does not explain, by an exact binomial test of each."""
    if isinstance(mechanism, Rappor):
        return []
    found = []
    for truth, one in sent.items():
        for value in sent:
            count, n = int(_supporting(mechanism, one, value).sum()), len(one)
            rate = float(mechanism.channel.p if value == truth else mechanism.channel.q)
            if 2 * min(bdtr(count, n, rate), bdtrc(count - 1, n, rate)) < FALSE_ALARM / len(sent) ** 2:
                found.append(
                    f"value {value} is supported at the rate {count / n:.4f} when the truth is {truth}; its channel"
                    f" says {rate:.4f}, so that estimates are biased"
                )
    return found[:1]
