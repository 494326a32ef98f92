"""Runs of the shipped client through its public API. A run records the calls of the mechanism and the reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, Response
from hushtally.client_sdk.device.embedding import Fault
from hushtally.client_sdk.mechanisms import Mechanism, PermanentMechanism
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.questions import Categories, Question
from hushtally.client_sdk.survey.signals import Function, Signal
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.requirements import require_clients_enabled

COPIES = 64  # copies of the question, all answered by one device
NAMES_AT_ONCE = 2**18  # segment names of all copies together in memory
DAYS = 360
STARTS = date(2026, 1, 1)
PATIENCE = 3_600.0  # seconds that a tick may take; long, so that an audit passes on a busy machine
MAX_CHANGES = 100  # the most changes of permanent answers that a survey may allow
REVISITED = 3  # answers that a device repeats at the end

Source = Callable[[], Randomness | None]  # returns the next device's randomness; None: the client's default


@dataclass(frozen=True)
class Call:
    """One call of a mechanism by the client. `perturb` and `draw` take a value; `repeat` takes a permanent symbol."""

    name: str
    given: int
    returned: int
    system: bool  # whether the client passed the operating system's source


def observed(mechanism: Mechanism, calls: list[Call]) -> Mechanism:
    """Return a copy of the mechanism that appends every call to `calls`, except the calls by its own code."""
    kind = type(mechanism)
    depth = 0

    def watching(name: str) -> Callable[..., int]:
        method = getattr(kind, name)

        def call(self: Mechanism, given: int, randomness: Randomness, *rest: Any) -> int:
            nonlocal depth
            depth += 1
            try:
                returned: int = method(self, given, randomness, *rest)
            finally:
                depth -= 1
            if depth == 0:
                calls.append(Call(name, given, returned, type(randomness) is SystemRandomness))
            return returned

        return call

    names = ("draw", "repeat", "perturb") if isinstance(mechanism, PermanentMechanism) else ("perturb",)
    watched: Mechanism = object.__new__(type(kind.__name__, (kind,), {name: watching(name) for name in names}))
    watched.__dict__.update(mechanism.__dict__)
    return watched


class _Sent:
    """A transport that records the symbols of all reports, by question."""

    def __init__(self) -> None:
        self.symbols: dict[str, list[int]] = {}

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """See Transport."""
        reports = json.loads(body or b"")["reports"]
        for report in reports:
            self.symbols.setdefault(report["question"], []).append(report["symbol"])
        return Response(200, b'{"accepted": %d, "rejected": []}' % len(reports))


def copied(survey: Survey, question: Question, mechanisms: Sequence[Mechanism], changes: int | None = None) -> Survey:
    """Return a survey of 360 days that asks one copy of the question per mechanism, every day.

    The app records the value of copy n in the field `value<n>` of the event `truth`.
    """
    categories = tuple(map(str, range(question.mechanism.domain - 1)))
    copies = tuple(
        replace(question, id=f"copy{number}", form=Categories(f"value{number}", categories), mechanism=mechanism)
        for number, mechanism in enumerate(mechanisms)
    )
    privacy = replace(survey.privacy, questions_per_device=len(copies), answers_every=1)
    return replace(
        survey,
        starts=STARTS,
        ends=STARTS + timedelta(days=DAYS - 1),
        epoch=EpochLength.DAY,
        privacy=privacy if changes is None else replace(privacy, changes=changes),
        cohorts={},
        signals={f"value{number}": Signal(Function.TOP, "truth", f"value{number}", 1) for number in range(len(copies))},
        questions=copies,
    )


def _live(
    asked: Survey,
    days: Sequence[Sequence[int]],
    randomness: Randomness | None,
    progress: Callable[[], object],
) -> list[list[int]]:
    """Run one device, and return its symbols for each copy, in order. days: the value of each copy on each day."""
    require_clients_enabled()
    sent, faults = _Sent(), list[Fault]()
    clock = ScriptedClock("2026-01-01T23:59:59")
    with Client(
        asked,
        collector="http://localhost",
        state=":memory:",
        clock=clock,
        randomness=randomness,
        transport=sent,
        on_error=faults.append,
    ) as client:
        client.grant_consent("audit")
        for values in days:
            client.record("truth", **{f"value{number}": str(value) for number, value in enumerate(values)})
            client.tick(PATIENCE)
            clock.advance(days=1)
            progress()
    copies = [sent.symbols.get(f"copy{number}", []) for number in range(len(asked.questions))]
    if faults or any(len(one) != len(days) for one in copies):
        raise SimulationError(
            f"the client did not answer {len(asked.questions)} questions on {len(days)} days: {faults or 'silent'}"
        )
    return copies


def steps(sequences: int, length: int) -> int:
    """Return the number of times that `sample_reports` calls progress."""
    return math.ceil(sequences / COPIES) * length


def sample_reports(
    survey: Survey,
    question: Question,
    value: int,
    sequences: int,
    length: int,
    source: Source,
    progress: Callable[[], object] = lambda: None,
) -> Integers:
    """Return the symbols that devices send about a question if their value never changes.

    Returns `sequences` rows of `length` symbols. Each row comes from one copy of the question on one device. source:
    returns the randomness of the next device. progress: called `steps` times. Raises ArgumentError for a length outside
    its range, and SimulationError if the client fails or does not send one report per question and day.
    """
    if not 1 <= length <= DAYS:
        raise ArgumentError("length", f"must be at least 1 and at most {DAYS}, got {length}")
    asked = copied(survey, question, [question.mechanism] * _copies(question))
    days = [[value] * len(asked.questions)] * length
    rows: list[Sequence[int]] = []
    while len(rows) < sequences:
        rows += _live(asked, days, source(), progress)
    return np.array(rows[:sequences], dtype=np.int64)


def _copies(question: Question) -> int:
    return max(1, min(COPIES, NAMES_AT_ONCE // question.mechanism.domain))


@dataclass(frozen=True)
class Wiring:
    """How the client used the mechanism. values: the number of tested values. breaches: at most one mistake."""

    values: int
    breaches: list[str]


def check_wiring(
    survey: Survey, question: Question, source: Source, order: Random, progress: Callable[[], object] = lambda: None
) -> Wiring:
    """Run one device through as many of the question's values as fit into a year, and follow every call.

    Each report must be the symbol that the mechanism returned for the recorded value. The client must draw once per
    report, from the system's source unless `source` returns another source. With permanent memory, the client must draw
    each value once and repeat that answer for later reports, even if other values came in between. After `changes`
    changes, the client must keep the last answer.
    """
    mechanism, copies = question.mechanism, _copies(question)
    permanent = survey.permanent
    each = min(max(math.ceil(mechanism.domain / copies), 2), MAX_CHANGES if permanent else DAYS)
    values = _values(mechanism.domain, copies * each, order)
    calls: list[list[Call]] = [[] for _ in range(copies)]
    plans = [_plan(values[number::copies], permanent) for number in range(copies)]
    asked = copied(survey, question, [observed(mechanism, own) for own in calls], MAX_CHANGES if permanent else None)
    randomness = source()
    sent = _live(asked, list(zip(*plans, strict=True)), randomness, progress)
    breaches = _follow(plans, calls, sent, permanent, MAX_CHANGES, system=randomness is None)
    if permanent and not breaches:
        breaches = _limited(survey, question, source, progress)
    return Wiring(len({*values}), breaches[:1])


def _values(domain: int, places: int, order: Random) -> list[int]:
    """Return one value per place in random order, among them the first and the last value."""
    found = [0, domain - 1, *order.sample(range(1, domain - 1), min(domain - 2, max(places - 2, 0)))]
    found += order.choices(range(domain), k=max(places - len(found), 0))
    order.shuffle(found)
    return found[:places] if places > 1 else found[:1]


def _plan(values: Sequence[int], permanent: bool) -> list[int]:
    """Return the value of each day: every value once.

    With permanent memory, every value comes twice, and the first few values come again at the end.
    """
    if not permanent:
        return list(values)
    return [value for value in values for _ in range(2)] + [values[index % len(values)] for index in range(REVISITED)]


def _limited(survey: Survey, question: Question, source: Source, progress: Callable[[], object]) -> list[str]:
    """Check that the client keeps the last answer after `changes` changes; return at most one breach."""
    changes, domain = survey.privacy.changes or 0, question.mechanism.domain
    plan = [index % domain for index in range(changes + 3) for _ in range(2)]
    calls: list[Call] = []
    asked = copied(survey, question, [observed(question.mechanism, calls)], changes)
    randomness = source()
    sent = _live(asked, [[value] for value in plan], randomness, progress)
    return _follow([plan], [calls], sent, True, changes, system=randomness is None)


def _follow(
    plans: Sequence[Sequence[int]],
    calls: Sequence[Sequence[Call]],
    sent: Sequence[Sequence[int]],
    permanent: bool,
    changes: int,
    *,
    system: bool,
) -> list[str]:
    for plan, made, symbols in zip(plans, calls, sent, strict=True):
        check = _follow_permanent(plan, made, symbols, changes) if permanent else _follow_fresh(plan, made, symbols)
        if check is None and system and not all(call.system for call in made):
            check = "the client does not draw from the operating system's random source"
        if check:
            return [check]
    return []


def _follow_fresh(plan: Sequence[int], made: Sequence[Call], symbols: Sequence[int]) -> str | None:
    if len(made) != len(plan):
        return f"the client drew {len(made)} times for {len(plan)} answers"
    for value, call, symbol in zip(plan, made, symbols, strict=True):
        if call.given != value:
            return f"the client randomized segment {call.given} although the app recorded segment {value}"
        if call.returned != symbol:
            return f"the client sent a different symbol than the mechanism returned for segment {value}"
    return None


def _follow_permanent(plan: Sequence[int], made: Sequence[Call], symbols: Sequence[int], changes: int) -> str | None:
    """Compare the calls with a correct client, which draws each new value once and repeats every stored answer."""
    left, remembered, last = list(made), dict[int, int](), None
    for value, symbol in zip(plan, symbols, strict=True):
        if value not in remembered and len(remembered) <= changes:
            call = left.pop(0) if left else None
            if call is None or (call.name, call.given) != ("draw", value):
                return f"the client did not draw a permanent answer for the new segment {value}"
            remembered[value] = call.returned
        elif value not in remembered and last is not None:
            value = last
        call = left.pop(0) if left else None
        if call is None or call.name != "repeat":
            return f"the client drew again for segment {value} instead of repeating its permanent answer"
        if call.given != remembered[value]:
            return f"the client repeated a different answer than the permanent answer of segment {value}"
        if call.returned != symbol:
            return f"the client sent a different symbol than the mechanism returned for segment {value}"
        last = value
    return f"the client called the mechanism {len(left)} times without an answer" if left else None


def check_lifetime(survey: Survey, progress: Callable[[], object] = lambda: None) -> tuple[int, list[str]]:
    """Run four devices through the whole survey, and return the number of their reports and at most one breach.

    Two devices have no events. Two devices have events every day. Every device must answer in every epoch of its phase,
    because its silence would reveal what it recorded. No device may answer a question twice in an epoch, answer more
    questions or in more epochs than the survey allows, or spend more than the lifetime epsilon.
    """
    require_clients_enabled()
    reports, breaches = 0, list[str]()
    for number in range(4):
        sent = _live_through(survey, with_events=number % 2 == 1, progress=progress)
        reports += len(sent.seen)
        breaches += sent.breaches(survey)
    return reports, breaches[:1]


class _Life(_Sent):
    """A transport that also records the question and epoch of every report, and the epsilon that the device spent."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []
        self.spent = 0.0

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """See Transport."""
        self.seen += [(report["question"], report["epoch"]) for report in json.loads(body or b"")["reports"]]
        return super().request(method, url, body, timeout, max_bytes)

    def breaches(self, survey: Survey) -> list[str]:
        """Return as a breach the first limit of the survey that the device exceeded."""
        epochs = {epoch for _, epoch in self.seen}
        questions = {question for question, _ in self.seen}
        if len(set(self.seen)) < len(self.seen):
            return ["a device answered a question twice in one epoch"]
        least = survey.epochs // survey.privacy.answers_every * survey.privacy.questions_per_device
        if len(self.seen) < least:
            return [f"a device sent {len(self.seen)} reports; whatever the customer did, it must send at least {least}"]
        if len(epochs) > survey.answers:
            return [f"a device answered in {len(epochs)} epochs; the survey allows {survey.answers}"]
        if len(questions) > survey.privacy.questions_per_device:
            return [
                f"a device answered {len(questions)} questions; the survey allows {survey.privacy.questions_per_device}"
            ]
        cost = _cost(survey, self.seen)
        if cost > survey.lifetime_epsilon * (1 + 1e-9):
            return [f"a device's reports reveal epsilon {cost:g}; the survey allows {survey.lifetime_epsilon:g}"]
        if self.spent > survey.lifetime_epsilon * (1 + 1e-9):
            return [f"a device's ledger records epsilon {self.spent:g}; the survey allows {survey.lifetime_epsilon:g}"]
        return []


def _cost(survey: Survey, seen: Sequence[tuple[str, str]]) -> float:
    """Return the epsilon of all reports of one device, by composition. Each permanent answer counts once."""
    each: Mapping[str, float] = {one.id: one.epsilon_permanent or one.epsilon for one in survey.questions}
    if survey.permanent:
        return survey.charges * sum(each[question] for question in {question for question, _ in seen})
    return sum(each[question] for question, _ in seen)


def _live_through(survey: Survey, *, with_events: bool, progress: Callable[[], object]) -> _Life:
    life = _Life()
    clock = ScriptedClock(f"{survey.starts}T00:00:01")
    named = {(one.event, one.field) for one in survey.signals.values()}
    with Client(
        survey,
        collector="http://localhost",
        state=":memory:",
        cohort=survey.all_cohorts()[0],
        clock=clock,
        transport=life,
    ) as client:
        client.grant_consent("audit")
        while survey.runs(clock.now.date()):
            if with_events:
                for event, field in sorted(named, key=str):
                    client.record(event, **({field: 1} if field else {}))
            client.tick(PATIENCE)
            clock.advance(seconds=86_390)
            client.tick(PATIENCE)
            clock.advance(seconds=10)
            progress()
        client.tick(PATIENCE)  # sends what is due in the last seconds
        life.spent = client.status().surveys[0].spent
    return life
