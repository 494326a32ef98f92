"""Audits: whether a survey's questions keep the epsilon they claim, by proof or by watching the shipped client."""

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
from hushtally.simulations.audit.certificate import STATISTICS, Certificate, Finding
from hushtally.simulations.audit.client_reports import steps, watch
from hushtally.simulations.audit.distinguisher import Distinguisher, distinguishers, supporting
from hushtally.simulations.audit.proof import MOST_BRANCHES, TooManyBranches, prove_all_reports, prove_one_report
from hushtally.simulations.cli.progress import Meter, silent

METHODS = ("auto", "enumeration", "statistics")
TRIALS = 200_000  # reports per value
CONFIDENCE = 0.95  # of the lower bound that is shown
FALSE_ALARM = 1e-6  # chance that a question that keeps its bound is called broken
REPEATS = 16  # reports of one answer that are looked at together
SEQUENCES = 10_000
ANSWERS = 8  # of one device: each takes longer the more there were before, a new device takes longest


def audit(
    survey: Survey,
    method: str = "auto",
    trials: int = TRIALS,
    seed: int | None = None,
    branches: int = MOST_BRANCHES,
    progress: Meter = silent,
) -> Certificate:
    """A certificate about every question that the survey asks.

    method: "enumeration" proves a bound by running every branch of the mechanism's code, at most `branches` of them;
    "statistics" watches `trials` reports of the shipped client for each of a few values; "auto" does the first where
    it can. With permanent memory the client is always watched as well: reusing an answer is its part, not the
    mechanism's. seed: of simulated randomness; None: the system's, as on a device. progress: shows how far each proof
    and each watch has come. ArgumentError where enumeration was demanded and is too much.
    """
    if method not in METHODS:
        raise ArgumentError("method", f"must be one of {', '.join(METHODS)}, got {method!r}")
    if trials < 1_000:
        raise ArgumentError("trials", f"must be at least 1,000, got {trials}")
    auditor = _Auditor(survey, method, trials, branches, _source(seed), progress)
    findings = [finding for question in survey.asked for finding in auditor.findings(question)]
    return Certificate.of(survey, "the system's" if seed is None else f"simulated, seed {seed}", findings)


def _source(seed: int | None) -> Callable[[], Randomness]:
    if seed is None:
        return SystemRandomness
    seeds = np.random.default_rng(seed)
    return lambda: SeededRandomness(int(seeds.integers(2**63)))


@dataclass(frozen=True)
class _Auditor:
    """What an audit was asked for."""

    survey: Survey
    method: str
    trials: int
    branches: int
    source: Callable[[], Randomness]
    progress: Meter

    def findings(self, question: Question) -> Iterator[Finding]:
        """The bounds of a question: of one report and, with permanent memory, of many."""
        yield self._proven(prove_one_report, question) or self._one_report(question)
        if question.epsilon_permanent is not None:
            if proven := self._proven(prove_all_reports, question):
                yield proven
            yield self._many_reports(question, question.epsilon_permanent)

    def _proven(
        self, prove: Callable[[Question, int, Callable[[], object]], Finding], question: Question
    ) -> Finding | None:
        """A proof, or None where the method does not ask for one or, being free to choose, cannot have it."""
        if self.method == "statistics":
            return None
        try:
            with self.progress(f"proving {question.id}", None) as advance:
                return prove(question, self.branches, advance)
        except TooManyBranches:
            if self.method == "enumeration":
                raise ArgumentError(
                    "method",
                    f"enumeration runs at most {self.branches:,} branches, and {question.id} has more; auto or"
                    " statistics watch the client instead",
                ) from None
        except MechanismError:
            if self.method == "enumeration":
                raise
        return None

    def _one_report(self, question: Question) -> Finding:
        """Events of one report for every ordered pair of a few values, and the rates at which values are supported."""
        mechanism, length = question.mechanism, 1 if self.survey.permanent else ANSWERS
        rows = self._watched(question, _values(mechanism), math.ceil(self.trials / length), length)
        sent = {value: symbols.ravel()[: self.trials] for value, symbols in rows.items()}
        found = [one for pair in permutations(sent, 2) for one in distinguishers(mechanism, pair, sent)]
        breaches = _stray_symbols(mechanism, sent) or _strange_rates(mechanism, sent)
        return _finding(question, "one report", question.epsilon, found, breaches)

    def _many_reports(self, question: Question, claimed: float) -> Finding:
        """How often one value outweighs another in many reports of one unchanged answer: memory is what bounds it."""
        mechanism, pair = question.mechanism, _values(question.mechanism)[:2]
        sequences = min(self.trials, SEQUENCES)
        scores = {}
        for value, sent in self._watched(question, pair, sequences, REPEATS).items():
            votes = [supporting(mechanism, sent, one).astype(np.int64) for one in pair]
            scores[value] = (votes[0] - votes[1]).sum(axis=1)
        learning = sequences // 2

        def counted(chosen: tuple[int, int], rows: slice) -> Distinguisher:
            sign, least = chosen
            likely, other = ((sign * scores[value][rows] >= least).sum() for value in pair[::sign])
            one, two = pair[::sign]
            words = f"in {REPEATS} reports value {one} is supported {least} times more than {two}"
            return Distinguisher(words, int(likely), int(other), len(scores[one][rows]))

        candidates = [(sign, least) for sign in (1, -1) for least in range(-REPEATS, REPEATS + 1)]
        best = max(candidates, key=lambda one: counted(one, slice(learning)).lower_bound(1 - CONFIDENCE))
        return _finding(
            question, f"{REPEATS} reports of one answer", claimed, [counted(best, slice(learning, None))], []
        )

    def _watched(self, question: Question, values: list[int], sequences: int, length: int) -> dict[int, Integers]:
        """What devices that were told each of the values send."""
        with self.progress(f"watching {question.id}", len(values) * steps(sequences, length)) as advance:
            return {
                value: watch(self.survey, question, value, sequences, length, self.source, advance) for value in values
            }


def _finding(
    question: Question, bound: str, claimed: float, found: Sequence[Distinguisher], breaches: list[str]
) -> Finding:
    """The lower bound is the first one's, which was chosen beforehand; any of them may show a breach."""
    mechanism, first = question.mechanism, found[0]
    certain = [(one.lower_bound(FALSE_ALARM / len(found)), one.name) for one in found]
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
            count, n = int(supporting(mechanism, one, value).sum()), len(one)
            rate = float(mechanism.channel.p if value == truth else mechanism.channel.q)
            if 2 * min(bdtr(count, n, rate), bdtrc(count - 1, n, rate)) < FALSE_ALARM / len(sent) ** 2:
                found.append(
                    f"value {value} is supported at the rate {count / n:.4f} when the truth is {truth}; its channel"
                    f" says {rate:.4f}, so that estimates are biased"
                )
    return found[:1]
