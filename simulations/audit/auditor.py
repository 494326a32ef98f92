"""Audits: whether a survey's questions keep the epsilon that they claim, in the code that ships."""

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
from hushtally.simulations.audit.branches import RandomBranch, found_share, wrong_branches, wrong_repeats
from hushtally.simulations.audit.certificate import Certificate, Finding, Method
from hushtally.simulations.audit.client_reports import check_lifetime, check_wiring, sample_reports, steps
from hushtally.simulations.audit.distinguisher import distinguishers, supporting
from hushtally.simulations.audit.rows import TOLERANCE, Draw, Row, enumerate_rows, exact_epsilon, row_breaches
from hushtally.simulations.audit.source import WORDS, wrong_draws, wrong_words
from hushtally.simulations.audit.theory import Theory, reference, theory_of
from hushtally.simulations.cli.progress import ProgressBar, no_progress

TRIALS = 10_000  # reports per value of the shipped client
BRANCHES = 2**21  # branches that an audit runs for exact rows, over all questions
RANDOM_BRANCHES = 2**15  # random branches per question, shared among its values
MIN_BRANCHES, MAX_BRANCHES = 8, 512  # of one value
DRAWS = 2**15  # real draws per question, shared among its values
MIN_DRAWS = 24
CONFIDENCE = 0.95  # of the lower bound that is shown
FALSE_ALARM = 1e-6  # the chance that an honest question is called broken by one kind of test
ANSWERS = 8  # of one device in the run of the shipped client


def audit(
    survey: Survey,
    trials: int = TRIALS,
    seed: int | None = None,
    branches: int = BRANCHES,
    progress: ProgressBar = no_progress,
) -> Certificate:
    """A certificate about every question that a survey asks, the client that answers it, and its random source.

    trials: reports per value of the shipped client, at least 1,000. seed: of simulated randomness for those reports;
    None: the client's own source. branches: how many branches of the mechanisms' code are run for exact rows, at
    least 1; with more, more segments are proven. progress: shows how far each part has come. ArgumentError for
    numbers outside their ranges; SimulationError if the client does not answer at all.
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
    """The settings of an audit, and the sizes of the draws that its mechanisms make."""

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
        """The bounds of one question, then what the client does with it."""
        mechanism = question.mechanism
        expected = reference(mechanism, question.epsilon, question.epsilon_permanent)
        if question.epsilon_permanent is not None and isinstance(mechanism, PermanentMechanism):
            yield self._permanent_bound(question, mechanism, expected)
        yield self._report_bound(question, expected)
        yield self._client(question)

    def _report_bound(self, question: Question, expected: Mechanism | None) -> Finding:
        """What one report reveals: exact rows and random branches, then real draws."""
        mechanism, breaches = question.mechanism, _false_claim(question.mechanism, question.epsilon)
        fresh = not isinstance(mechanism, PermanentMechanism)
        theory = theory_of(expected) if fresh else None
        rows, each, found = self._exact(question.id, mechanism, theory, mechanism.perturb)
        breaches += found
        repeats = 0
        if isinstance(mechanism, PermanentMechanism) and isinstance(expected, PermanentMechanism):
            repeats = RANDOM_BRANCHES // 8
            if question.epsilon_permanent is None:  # RAPPOR in fresh memory draws and repeats at once
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
        """What all reports of one answer reveal: at most what the permanent symbol does, as `repeat` sees no more."""
        claimed = question.epsilon_permanent or 0.0
        breaches = _above(logarithm(mechanism.permanent_ratio), claimed)
        rows, each, found = self._exact(question.id, mechanism, theory_of(expected), mechanism.draw, permanent=True)
        return self._bound(question, "all reports of one answer", claimed, rows, _power(each, 0), breaches + found)

    def _exact(
        self, id: str, mechanism: Mechanism, theory: Theory | None, draw: Draw, *, permanent: bool = False
    ) -> tuple[Mapping[int, Row], int, list[str]]:
        """Exact rows and random branches of one draw: the rows, the branches per value, and what is wrong."""
        rows: Mapping[int, Row] = {}
        each = min(max(RANDOM_BRANCHES // mechanism.domain, MIN_BRANCHES), MAX_BRANCHES)
        try:
            squared = isinstance(mechanism, PermanentMechanism) and not permanent  # it draws, then repeats
            if mechanism.symbols ** (2 if squared else 1) <= self.branches:
                with self.progress(f"enumerating {id}", None) as advance:
                    rows = enumerate_rows(draw, mechanism.domain, self.branches, self._random, advance)
            # rates of the permanent symbol are not those of the channel, which is of one report
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
        """The same draw; the sizes of its draws below n are kept for the test of the source."""

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
            breaches = ["a symbol can rule a segment out: epsilon is infinite", *breaches]
        elif epsilon is not None and epsilon > claimed:
            breaches = [f"epsilon is {epsilon:.12g}, more than the {claimed:g} claimed", *breaches]
        complete = len(rows) == mechanism.domain
        if (
            complete
            and epsilon is not None
            and epsilon < claimed - TOLERANCE
            and not isinstance(mechanism, Rappor)  # if hashes collide, less is revealed
        ):
            breaches = [f"epsilon is {epsilon:.12g}, so accuracy for {claimed:g} is given away", *breaches]
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
        """Draws of every value with real randomness: how often a report supports the truth, and repeated symbols."""
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
                return [f"segment {value} sends symbol {symbols[0]} again and again"]
        trials = each * mechanism.domain
        if _unlikely(total, trials, p) < FALSE_ALARM / 3:
            return [f"{total:,} of {trials:,} reports support their own segment; the channel requires {p:.4f}"]
        return []

    def _client(self, question: Question) -> Finding:
        """The shipped client: what it does with the mechanism for every value, then what it sends."""
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
        memory = ", and stored and reused permanent answers as it must" if self.survey.permanent else ""
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
                f"for {wiring.values:,} of {mechanism.domain:,} segments every call was followed: the client sent what"
                f" the mechanism returned{memory}"
            )
            if not wiring.breaches
            else None,
            breaches=tuple(breaches),
        )

    def lifetime(self) -> Finding:
        """What whole devices send over the survey."""
        with self.progress("living through the survey", None) as advance:
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
        """The source that devices draw from: its rule exactly, its words by statistics."""
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
                f"draws below {len(self.sizes):,} sizes of these mechanisms and their boundaries follow the protocol's"
                f" rule exactly; among {WORDS:,} real words, a bit that is 1 two points too often would pass with a"
                " chance below 1 in 1,000"
            ),
            breaches=tuple(breaches),
        )


def _power(branches: int, repeats: int) -> str | None:
    """What random branches would have found, in words."""
    parts = []
    if branches:
        parts.append(
            f"{branches:,} random branches of every segment had exactly the probability that this epsilon requires; a"
            f" segment with {found_share(branches):.2%} wrong branches would pass with a chance of 1 in 10^6"
        )
    if repeats:
        parts.append(
            f"{repeats:,} random branches that repeat a permanent answer had exactly the probability required; a share"
            f" of {found_share(repeats):.2%} wrong ones would pass with a chance of 1 in 10^6"
        )
    return "; ".join(parts) or None


def _false_claim(mechanism: Mechanism, claimed: float) -> list[str]:
    return [] if isinstance(mechanism, Rappor) and mechanism.epsilon <= claimed else _above(mechanism.epsilon, claimed)


def _above(epsilon: float, claimed: float) -> list[str]:
    return (
        [f"the mechanism is made for epsilon {epsilon:.12g}, more than the {claimed:g} claimed"]
        if epsilon > claimed
        else []
    )


def _unlikely(count: int, trials: int, rate: float) -> float:
    """The two-sided chance of a count this far from its mean, doubled from the smaller tail."""
    return float(2 * min(bdtr(count, trials, rate), bdtrc(count - 1, trials, rate)))


def _stray_symbols(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    largest = max(int(one.max()) for one in sent.values())
    if largest >= mechanism.symbols:
        return [f"the client sent symbol {largest}, but there are only {mechanism.symbols:,} symbols"]
    return []


def _strange_rates(mechanism: Mechanism, sent: Mapping[int, Integers]) -> list[str]:
    """Support rates that the channel does not explain, by an exact binomial test of each."""
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
