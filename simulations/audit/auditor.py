"""Audits: checks that the shipped code keeps the epsilon that a survey claims for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from math import ceil
from random import Random, SystemRandom

from scipy.special import bdtr, bdtrc

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import Mechanism, PermanentMechanism, Rappor
from hushtally.client_sdk.mechanisms.base import logarithm
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.testing import SeededRandomness
from hushtally.output.progress import ProgressBar, no_progress
from hushtally.simulations.audit.branches import (
    RandomBranch,
    found_share,
    wrong_branches,
    wrong_later_draws,
    wrong_repeats,
)
from hushtally.simulations.audit.certificate import Certificate, Finding, Method
from hushtally.simulations.audit.client_reports import check_lifetime, check_wiring, sample_reports, steps
from hushtally.simulations.audit.distinguisher import distinguishers, supporting
from hushtally.simulations.audit.rows import TOLERANCE, Draw, Row, enumerate_rows, exact_epsilon, row_breaches
from hushtally.simulations.audit.source import WORDS, wrong_draws, wrong_words
from hushtally.simulations.audit.theory import Theory, reference, theory_of

TRIALS = 10_000  # reports per value of the shipped client
BRANCHES = 2**21  # branches that an audit runs for exact rows, for all questions together
RANDOM_BRANCHES = 2**15  # random branches per question, shared among its values
MIN_BRANCHES, MAX_BRANCHES = 8, 512  # random branches per value
DRAWS = 2**15  # real draws per question, shared among its values
MIN_DRAWS = 24  # real draws per value
CONFIDENCE = 0.95  # of the printed lower bound
FALSE_ALARM = 1e-6  # the probability that one kind of test reports a correct question as broken
ANSWERS = 8  # reports of one device per copy of a question, with fresh memory


def audit(
    survey: Survey,
    trials: int = TRIALS,
    seed: int | None = None,
    branches: int = BRANCHES,
    progress: ProgressBar = no_progress,
) -> Certificate:
    """Audit every question of a survey, the client that answers them, and the random source.

    trials: reports of the shipped client per value, at least 1,000. seed: seeds simulated randomness for these reports;
    None uses the client's own source. branches: the number of branches of the mechanisms' code to run for exact rows,
    at least 1; more branches prove more segments. progress: shows the progress of each part. Raises ArgumentError for a
    number outside its range, and SimulationError if the client does not answer.
    """
    if trials < 1_000:
        raise ArgumentError("trials", f"must be at least 1,000, got {trials}")
    if branches < 1:
        raise ArgumentError("branches", f"must be at least 1, got {branches}")
    auditor = _Auditor(survey, trials, max(1, branches // len(survey.asked)), seed, progress)
    findings = [finding for question in survey.asked for finding in auditor.question(question)]
    findings += [auditor.lifetime(), auditor.random_source()]
    return Certificate.of(survey, "the system's" if seed is None else f"simulated, seed {seed}", findings)


@dataclass
class _Auditor:
    """The settings of an audit. sizes: every n for which a mechanism drew a number below n."""

    survey: Survey
    trials: int
    branches: int
    seed: int | None
    progress: ProgressBar
    sizes: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random: Random = SystemRandom() if self.seed is None else Random(self.seed)

    def _source(self) -> Randomness | None:
        return None if self.seed is None else SeededRandomness(self._random.getrandbits(63))

    def question(self, question: Question) -> Iterator[Finding]:
        """Audit the bounds of one question, then the client that answers it."""
        mechanism = question.mechanism
        expected = reference(mechanism, question.epsilon, question.epsilon_permanent)
        if question.epsilon_permanent is not None and isinstance(mechanism, PermanentMechanism):
            yield self._permanent_bound(question, mechanism, expected)
        yield self._report_bound(question, expected)
        yield self._client(question)

    def _report_bound(self, question: Question, expected: Mechanism | None) -> Finding:
        """Audit what one report reveals, with exact rows and random branches, then with real draws."""
        mechanism, breaches = question.mechanism, _above(question.mechanism.epsilon, question.epsilon)
        fresh = not isinstance(mechanism, PermanentMechanism)
        theory = theory_of(expected) if fresh else None
        rows, each, found = self._exact(question.id, mechanism, theory, mechanism.perturb)
        breaches += found
        repeats = 0
        if isinstance(mechanism, PermanentMechanism) and isinstance(expected, PermanentMechanism):
            repeats = RANDOM_BRANCHES // 8
            if question.epsilon_permanent is None:  # RAPPOR with fresh memory draws and repeats at once
                _, each, found = self._exact(
                    question.id, mechanism, theory_of(expected), mechanism.draw, permanent=True
                )
                breaches += found
            breaches += self._repeats(mechanism, expected, repeats)
        if not breaches and not isinstance(mechanism, Rappor):
            breaches += self._real_draws(mechanism)
        return self._bound(question, "one report", question.epsilon, rows, _power(each, repeats), breaches)

    def _permanent_bound(
        self, question: Question, mechanism: PermanentMechanism, expected: Mechanism | None
    ) -> Finding:
        """Audit all reports of one answer. They reveal at most the permanent symbol, the only input of `repeat`."""
        claimed = question.epsilon_permanent or 0.0
        breaches = _above(logarithm(mechanism.permanent_ratio), claimed)
        theory = theory_of(expected)
        rows, each, found = self._exact(question.id, mechanism, theory, mechanism.draw, permanent=True)
        if theory is not None and isinstance(expected, PermanentMechanism) and not found:
            try:
                found = wrong_later_draws(mechanism, expected, theory, RANDOM_BRANCHES // 8, self._random)
            except (MechanismError, ValueError, LookupError) as error:
                found = [f"the code of a later answer fails: {type(error).__name__}"]
        return self._bound(question, "all reports of one answer", claimed, rows, _power(each, 0), breaches + found)

    def _exact(
        self, id: str, mechanism: Mechanism, theory: Theory | None, draw: Draw, *, permanent: bool = False
    ) -> tuple[Mapping[int, Row], int, list[str]]:
        """Run exact rows and random branches of one draw; return rows, branches per value, and breaches."""
        rows: Mapping[int, Row] = {}
        each = min(max(RANDOM_BRANCHES // mechanism.domain, MIN_BRANCHES), MAX_BRANCHES)
        try:
            squared = isinstance(mechanism, PermanentMechanism) and not permanent  # `perturb` draws, then repeats
            if mechanism.symbols ** (2 if squared else 1) <= self.branches:
                with self.progress(f"enumerating {id}", None) as advance:
                    rows = enumerate_rows(draw, mechanism.domain, self.branches, self._random, advance)
            # the channel describes one report, so its rates do not apply to the permanent symbol
            breaches = row_breaches(mechanism, theory, rows, rates=not permanent)
            if theory is not None and not breaches:
                with self.progress(f"random branches of {id}", mechanism.domain) as advance:
                    breaches += wrong_branches(mechanism, theory, self._recorded(draw), each, self._random, advance)
        except MechanismError as error:
            breaches = [f"the code cannot be audited: {error}"]
        except (ValueError, LookupError, ArithmeticError, TypeError) as error:
            breaches = [f"the code fails: {type(error).__name__}"]
        return rows, each if theory is not None else 0, breaches

    def _recorded(self, draw: Draw) -> Draw:
        """Return the same draw, which also stores its ranges in `sizes`, for the test of the random source."""

        def recorded(value: int, branch: Randomness) -> int:
            symbol = draw(value, branch)
            if isinstance(branch, RandomBranch):
                self.sizes |= branch.sizes
            return symbol

        return recorded

    def _repeats(self, mechanism: PermanentMechanism, expected: PermanentMechanism, branches: int) -> list[str]:
        try:
            return wrong_repeats(mechanism, expected, branches, self._random)
        except MechanismError as error:
            return [f"the code cannot be audited: {error}"]

    def _bound(
        self,
        question: Question,
        bound: str,
        claimed: float,
        rows: Mapping[int, Row],
        power: str | None,
        breaches: list[str],
    ) -> Finding:
        mechanism = question.mechanism
        epsilon = exact_epsilon(rows) if len(rows) > 1 else None
        if len(rows) > 1 and epsilon is None:
            breaches = ["a symbol is impossible for one segment but not for another, so epsilon is infinite", *breaches]
        elif epsilon is not None and epsilon > claimed:
            breaches = [f"epsilon is {epsilon:.12g}, more than the {claimed:g} claimed", *breaches]
        complete = len(rows) == mechanism.domain
        if (
            complete
            and epsilon is not None
            and epsilon < claimed - TOLERANCE
            and not isinstance(mechanism, Rappor)  # colliding hashes reveal less than claimed
        ):
            breaches = [
                f"epsilon is {epsilon:.12g}, less than the {claimed:g} claimed: estimates lose accuracy",
                *breaches,
            ]
        return Finding(
            question.id,
            mechanism.label,
            mechanism.domain,
            mechanism.symbols,
            bound,
            claimed,
            Method.ENUMERATION if complete else Method.BRANCHES,
            values=len(rows),
            epsilon=epsilon,
            power=None if complete else power,
            breaches=tuple(dict.fromkeys(breaches)),
        )

    def _real_draws(self, mechanism: Mechanism) -> list[str]:
        """Draw every value with real randomness. Test how often reports support it and how often a symbol repeats."""
        source = self._source() or SystemRandomness()
        each = max(DRAWS // mechanism.domain, MIN_DRAWS)
        p = float(mechanism.channel.p)
        most = float(max(mechanism.channel.p, 1 - mechanism.channel.p))
        alarm, total = FALSE_ALARM / (3 * mechanism.domain), 0
        for value in range(mechanism.domain):
            symbols = [mechanism.perturb(value, source) for _ in range(each)]
            own = sum(mechanism.supports(symbol, value) for symbol in symbols)
            total += own
            if _unlikely(own, each, p) < alarm:
                return [f"{own:,} of {each:,} reports of segment {value} support it; the channel requires {p:.4f}"]
            repeats = sum(symbol == symbols[0] for symbol in symbols[1:])
            if bdtrc(repeats - 1, each - 1, most) < alarm:
                return [f"segment {value} sends symbol {symbols[0]} too often: {repeats + 1:,} of {each:,} reports"]
        trials = each * mechanism.domain
        if _unlikely(total, trials, p) < FALSE_ALARM / 3:
            return [f"{total:,} of {trials:,} reports support their own segment; the channel requires {p:.4f}"]
        return []

    def _client(self, question: Question) -> Finding:
        """Audit the shipped client: follow its calls of the mechanism for many values, then test its reports."""
        mechanism, length = question.mechanism, 1 if self.survey.permanent else ANSWERS
        with self.progress(f"following the client for {question.id}", None) as advance:
            wiring = check_wiring(self.survey, question, self._source, self._random, advance)
        values = sorted({0, 1, mechanism.domain - 1})
        sequences = ceil(self.trials / length)
        with self.progress(f"sampling {question.id}", len(values) * steps(sequences, length)) as advance:
            sent = {
                value: sample_reports(self.survey, question, value, sequences, length, self._source, advance).ravel()[
                    : self.trials
                ]
                for value in values
            }
        found = [one for pair in permutations(sent, 2) for one in distinguishers(mechanism, pair, sent)]
        breaches = [*wiring.breaches, *(_stray_symbols(mechanism, sent) or _strange_rates(mechanism, sent))]
        worst, name = max((one.lower_bound(FALSE_ALARM / len(found)), one.name) for one in found)
        if worst > question.epsilon:
            breaches.append(f"reports reveal at least {worst:.4f}, more than the {question.epsilon:g} claimed: {name}")
        memory = ", and it stored and reused permanent answers correctly" if self.survey.permanent else ""
        return Finding(
            question.id,
            mechanism.label,
            mechanism.domain,
            mechanism.symbols,
            "the client",
            None,
            Method.TRACE,
            values=wiring.values,
            lower_bound=found[0].lower_bound(1 - CONFIDENCE),
            confidence=CONFIDENCE,
            trials=found[0].trials,
            event=found[0].name,
            power=(
                f"for {wiring.values:,} of {mechanism.domain:,} segments, every call was followed: the client sent the"
                f" symbol that the mechanism returned{memory}"
            )
            if not wiring.breaches
            else None,
            breaches=tuple(breaches),
        )

    def lifetime(self) -> Finding:
        """Audit what devices send over the whole survey."""
        with self.progress("running the whole survey", None) as advance:
            reports, breaches = check_lifetime(self.survey, advance)
        return Finding(
            None,
            None,
            None,
            None,
            "the whole survey",
            None,
            Method.TRACE,
            trials=reports,
            power=f"4 devices sent {reports:,} reports: no question twice in an epoch, none beyond the survey's limits",
            breaches=tuple(breaches),
        )

    def random_source(self) -> Finding:
        """Audit the random source of devices: its draws exactly, its words with statistics."""
        source = SystemRandomness()
        with self.progress("testing the random source", None):
            breaches = wrong_draws(source, self.sizes, self._random) or wrong_words(source)
        return Finding(
            None,
            None,
            None,
            None,
            "the random source",
            None,
            Method.STATISTICS,
            trials=WORDS,
            power=(
                f"draws for the {len(self.sizes):,} ranges of these mechanisms, and at word boundaries, follow the"
                f" protocol exactly; {WORDS:,} real words were tested: a bit that is 1 in 52% of them would pass with"
                " a probability below 1 in 1,000"
            ),
            breaches=tuple(breaches),
        )


def _power(branches: int, repeats: int) -> str | None:
    """Return in words what random branches would have found; None if no branches were run."""
    parts = []
    if branches:
        parts.append(
            f"{branches:,} random branches of every segment had exactly the probability that this epsilon requires; a"
            f" segment in which {found_share(branches):.2%} of the branches are wrong would pass with a probability of"
            " 1 in 10^6"
        )
    if repeats:
        parts.append(
            f"{repeats:,} random branches that repeat a permanent answer had exactly the required probability; if"
            f" {found_share(repeats):.2%} of them were wrong, the audit would miss this with a probability of 1 in 10^6"
        )
    return "; ".join(parts) or None


def _above(epsilon: float, claimed: float) -> list[str]:
    """Return a breach if the epsilon of a mechanism is larger than claimed."""
    return [f"the mechanism has epsilon {epsilon:.12g}, more than the {claimed:g} claimed"] if epsilon > claimed else []


def _unlikely(count: int, trials: int, rate: float) -> float:
    """Return the two-sided p-value of a binomial count: twice the smaller tail."""
    return float(2 * min(bdtr(count, trials, rate), bdtrc(count - 1, trials, rate)))


def _stray_symbols(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    largest = max(int(one.max()) for one in sent.values())
    if largest >= mechanism.symbols:
        return [f"the client sent symbol {largest}, but there are only {mechanism.symbols:,} symbols"]
    return []


def _strange_rates(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    """Return the first support rate that contradicts the channel, by an exact binomial test of each rate."""
    if isinstance(mechanism, Rappor):
        return []
    for truth, one in sent.items():
        for value in sent:
            count, n = int(supporting(mechanism, one, value).sum()), len(one)
            rate = float(mechanism.channel.p if value == truth else mechanism.channel.q)
            if _unlikely(count, n, rate) < FALSE_ALARM / len(sent) ** 2:
                return [
                    f"reports support segment {value} at the rate {count / n:.4f} if the true segment is {truth}; the"
                    f" channel requires {rate:.4f}, so estimates would be biased"
                ]
    return []
