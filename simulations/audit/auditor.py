"""The auditor, which proves or tests that the questions of a survey satisfy the epsilon that they claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.special import bdtr, bdtrc

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.testing import SeededRandomness
from hushtally.simulations.audit.breaches import epsilon_exceeded, invalid_symbol, wrong_support_rate
from hushtally.simulations.audit.certificate import STATISTICS, Certificate, Finding
from hushtally.simulations.audit.client_reports import client_reports, progress_steps
from hushtally.simulations.audit.distinguisher import Distinguisher, distinguishers, supporting
from hushtally.simulations.audit.proof import MAX_BRANCHES, TooManyBranches, prove_all_reports, prove_one_report
from hushtally.simulations.cli.progress import ProgressBar, no_progress

METHODS = ("auto", "enumeration", "statistics")
TRIALS = 200_000  # reports per value
MIN_TRIALS = 1_000
CONFIDENCE = 0.95  # of the lower bound of epsilon
FALSE_ALARM = 1e-6  # probability that a sound question is called broken
REPEATS = 16  # reports of one answer that are tested together
MAX_SEQUENCES = 10_000  # of such reports, per value
ANSWERS_PER_DEVICE = 8  # more answers make each slower; fewer answers need more devices, which are slowest


def audit(
    survey: Survey,
    method: str = "auto",
    trials: int = TRIALS,
    seed: int | None = None,
    branches: int = MAX_BRANCHES,
    progress: ProgressBar = no_progress,
) -> Certificate:
    """Audit every question that the survey asks.

    method: "enumeration" proves the bounds by running every branch of the mechanism's code, at most `branches` of them;
    "statistics" tests `trials` reports of the shipped client for each of a few values; "auto" uses enumeration where it
    is possible. With permanent memory, the client is always tested too, because the client reuses the answers and not
    the mechanism. seed: of simulated randomness; None uses the system's randomness, as a device does. progress: shows
    how far each proof and each test has come. Raises ArgumentError if enumeration is required and there are too many
    branches.
    """
    if method not in METHODS:
        raise ArgumentError("method", f"must be one of {', '.join(METHODS)}, got {method!r}")
    if trials < MIN_TRIALS:
        raise ArgumentError("trials", f"must be at least {MIN_TRIALS:,}, got {trials}")
    auditor = _Auditor(survey, method, trials, branches, _source(seed), progress)
    findings = [finding for question in survey.asked for finding in auditor.findings(question)]
    return Certificate.of(survey, "system" if seed is None else f"simulated, seed {seed}", findings)


def _source(seed: int | None) -> Callable[[], Randomness]:
    if seed is None:
        return SystemRandomness
    seeds = np.random.default_rng(seed)
    return lambda: SeededRandomness(int(seeds.integers(2**63)))


@dataclass(frozen=True)
class _Auditor:
    """The arguments of an audit."""

    survey: Survey
    method: str
    trials: int
    branches: int
    source: Callable[[], Randomness]
    progress: ProgressBar

    def findings(self, question: Question) -> Iterator[Finding]:
        """The bound of one report and, with permanent memory, the bound of many reports."""
        yield self._proof(prove_one_report, question) or self._test_one_report(question)
        if question.epsilon_permanent is not None:
            if finding := self._proof(prove_all_reports, question):
                yield finding
            yield self._test_many_reports(question, question.epsilon_permanent)

    def _proof(
        self, prove: Callable[[Question, int, Callable[[], object]], Finding], question: Question
    ) -> Finding | None:
        """The finding of a proof; None if the method does not ask for one, or if it allows a test instead."""
        if self.method == "statistics":
            return None
        try:
            with self.progress(f"Proving {question.id}", None) as advance:
                return prove(question, self.branches, advance)
        except TooManyBranches:
            if self.method == "enumeration":
                raise ArgumentError(
                    "method",
                    f"cannot be enumeration, because {question.id} has more than {self.branches:,} branches; use auto"
                    " or statistics",
                ) from None
        except MechanismError:
            if self.method == "enumeration":
                raise
        return None

    def _test_one_report(self, question: Question) -> Finding:
        """Test events of one report for every ordered pair of values, the symbols, and the support rates."""
        mechanism, length = question.mechanism, 1 if self.survey.permanent else ANSWERS_PER_DEVICE
        rows = self._reports(question, _tested_values(mechanism), math.ceil(self.trials / length), length)
        symbols = {value: sent.ravel()[: self.trials] for value, sent in rows.items()}
        events = [one for pair in permutations(symbols, 2) for one in distinguishers(mechanism, pair, symbols)]
        breaches = _invalid_symbols(mechanism, symbols) or _wrong_support_rates(mechanism, symbols)
        return _finding(question, "one report", question.epsilon, events, breaches)

    def _test_many_reports(self, question: Question, claimed: float) -> Finding:
        """Test how often many reports of one unchanged answer support one value more often than another.

        Only the client's memory bounds this. The event is chosen with half of the sequences and counted in the others.
        """
        values = _tested_values(question.mechanism)[:2]
        sequences = min(self.trials, MAX_SEQUENCES)
        scores = self._score_differences(question, values, sequences)
        half = sequences // 2
        candidates = [(sign, least) for sign in (1, -1) for least in range(-REPEATS, REPEATS + 1)]

        def event(candidate: tuple[int, int], rows: slice) -> Distinguisher:
            sign, least = candidate
            one, two = values[::sign]
            likely, other = (int((sign * scores[value][rows] >= least).sum()) for value in (one, two))
            name = f"{REPEATS} reports support value {one} at least {least} times more than value {two}"
            return Distinguisher(name, likely, other, len(scores[one][rows]))

        best = max(candidates, key=lambda one: event(one, slice(half)).lower_bound(1 - CONFIDENCE))
        return _finding(question, f"{REPEATS} reports of one answer", claimed, [event(best, slice(half, None))], [])

    def _score_differences(self, question: Question, values: list[int], sequences: int) -> dict[int, Integers]:
        """By true value: how much more often the reports of a sequence support the first value than the second."""
        scores = {}
        for value, symbols in self._reports(question, values, sequences, REPEATS).items():
            first, second = (supporting(question.mechanism, symbols, one).astype(np.int64) for one in values)
            scores[value] = (first - second).sum(axis=1)
        return scores

    def _reports(self, question: Question, values: list[int], sequences: int, length: int) -> dict[int, Integers]:
        """The symbols that clients send for each of the values; arrays of shape (sequences, length)."""
        steps = len(values) * progress_steps(sequences, length)
        with self.progress(f"Testing {question.id}", steps) as advance:
            return {
                value: client_reports(self.survey, question, value, sequences, length, self.source, advance)
                for value in values
            }


def _finding(
    question: Question, bound: str, claimed: float, events: Sequence[Distinguisher], breaches: list[str]
) -> Finding:
    """The lower bound is that of the first event, which was chosen beforehand; any event may show a breach."""
    mechanism, first = question.mechanism, events[0]
    largest, name = max((event.lower_bound(FALSE_ALARM / len(events)), event.name) for event in events)
    if largest > claimed:
        breaches = [*breaches, f"{epsilon_exceeded(f'at least {largest:.4f}', claimed)}; event: {name}"]
    return Finding(
        question.id, mechanism.label, mechanism.domain, mechanism.symbols, bound, claimed, STATISTICS,
        None, first.lower_bound(1 - CONFIDENCE), CONFIDENCE, first.trials, first.name, tuple(breaches),
    )  # fmt: skip


def _tested_values(mechanism: Mechanism) -> list[int]:
    """The values that clients are tested with: the first two and the last."""
    return sorted({0, 1, mechanism.domain - 1})


def _invalid_symbols(mechanism: Mechanism, symbols: Mapping[int, Integers]) -> list[str]:
    largest = max(int(sent.max()) for sent in symbols.values())
    return [invalid_symbol(largest, mechanism)] if largest >= mechanism.symbols else []


def _wrong_support_rates(mechanism: Mechanism, symbols: Mapping[int, Integers]) -> list[str]:
    """The first support rate that differs from the channel's, by an exact binomial test of each."""
    if isinstance(mechanism, Rappor):
        return []
    for truth, sent in symbols.items():
        for value in symbols:
            count, n = int(supporting(mechanism, sent, value).sum()), len(sent)
            rate = float(mechanism.channel.p if value == truth else mechanism.channel.q)
            if 2 * min(bdtr(count, n, rate), bdtrc(count - 1, n, rate)) < FALSE_ALARM / len(symbols) ** 2:
                return [wrong_support_rate(value, truth, f"{count / n:.4f}", f"{rate:.4f}")]
    return []
