"""Surveys by the day, clients with a scripted world, and servers on loopback that do as they are told."""

from __future__ import annotations

import json
import socket
import sqlite3
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.delivery import sender
from hushtally.client_sdk.delivery.backoff import Backoffs
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

TODAY = date(2026, 11, 2)  # a Monday

SURVEY = """
id = "{id}"
version = {version}
title = "Habits"
purpose = "Tests."
owner = "tests@shop.example"
starts = {starts}
ends = {ends}
epoch = "{epoch}"
[privacy]
epsilon = {epsilon}
questions_per_device = {questions}
answers_every = {every}
[cohorts]
platform = ["web", "ios"]
[signals]
orders = {{ count = "purchase", days = 30 }}
spent = {{ sum = "purchase.amount", days = 30 }}
favourite = {{ top = "purchase.category", days = 30 }}
[[questions]]
id = "frequency"
segments = [ {{ id = "none", when = "orders == 0" }}, {{ id = "some" }} ]
[[questions]]
id = "spending"
number = "spent"
edges = [0, 10, 100]
[[questions]]
id = "affinity"
one_of = "favourite"
categories = ["books", "music"]
"""


def survey_text(
    id: str = "habits",
    *,
    version: int = 1,
    starts: date = TODAY,
    days: int = 28,
    epoch: str = "day",
    epsilon: float = 1.0,
    questions: int = 1,
    every: int = 1,
) -> str:
    """A survey in TOML; every device answers `questions` of three in every `every`th epoch."""
    ends = starts + timedelta(days=days - 1)
    return SURVEY.format(**locals())


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers: failures, as a port may be given out again, and what was logged once."""
    monkeypatch.setattr(sender, "_failing", Backoffs())
    monkeypatch.setattr("hushtally.client_sdk.device.recording._logged", set())


@pytest.fixture
def survey() -> Survey:
    return Survey.parse(survey_text())


@pytest.fixture
def make_survey() -> Callable[..., Survey]:
    """Parses `survey_text` with other figures."""
    return lambda *args, **kwargs: Survey.parse(survey_text(*args, **kwargs))


@pytest.fixture
def live_survey() -> Survey:
    """A survey that runs by this machine's clock; its epoch is a month, which a test seldom sees the end of."""
    today = datetime.now(UTC).date()
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return Survey.parse(survey_text(starts=first, days=(following - first).days, epoch="month", questions=3))


@pytest.fixture
def clock() -> ScriptedClock:
    return ScriptedClock(datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=9))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_client(
    tmp_path: Path, survey: Survey, clock: ScriptedClock, recorder: Recorder
) -> Iterator[Callable[..., Client]]:
    """Makes clients of the survey that agree to it, in a scripted world; ends those that still run."""
    made: list[Client] = []

    def make(surveys: Any = survey, *, agree: bool = True, **options: Any) -> Client:
        given: dict[str, Any] = {
            "collector": "https://tally.example",
            "state": tmp_path / "state.db",
            "cohort": {"platform": "web"},
            "clock": clock,
            "randomness": SeededRandomness(7),
            "transport": recorder,
        }
        client = Client(surveys, **(given | options))
        if agree:
            client.grant_consent()
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


class Loopback:
    """A server on a loopback port: reads each request to its end, then lets `behave` do with the connection."""

    def __init__(self, behave: Callable[[socket.socket, bytes], None], *, read: bool = True) -> None:
        self.requests: list[bytes] = []
        self._behave = behave
        self._read = read
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(60)
            request = read_request(connection) if self._read else b""
            self.requests.append(request)
            self._behave(connection, request)

    def close(self) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def read_request(connection: socket.socket) -> bytes:
    """One request with its body, as it came; ConnectionError if it was cut off."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += received(connection)
    return head + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError("it was cut off")  # by a client that was killed
    return part


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def whole_request() -> Callable[[socket.socket], bytes]:
    return read_request


@pytest.fixture
def answer_of() -> Callable[..., bytes]:
    return http_answer


@pytest.fixture
def serve() -> Iterator[Callable[..., Loopback]]:
    """Starts loopback servers; ends them all."""
    running: list[Loopback] = []

    def start(behave: Callable[[socket.socket, bytes], None], *, read: bool = True) -> Loopback:
        running.append(Loopback(behave, read=read))
        return running[-1]

    yield start
    for one in running:
        one.close()


def no_request_is_left() -> bool:
    """Whether the threads of all requests have ended, or do so soon."""
    until = time.monotonic() + 120
    while any(thread.name == "hushtally-request" for thread in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def requests_end() -> Callable[[], bool]:
    return no_request_is_left


class Counter:
    """What a collector does, without a store: every batch counts once, and its id gets the same answer again."""

    def __init__(self) -> None:
        self.batches: dict[str, Batch] = {}
        self.received = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        batch = Batch.decode(request.partition(b"\r\n\r\n")[2])
        with self._lock:
            self.received += 1
            self.batches.setdefault(batch.id, batch)
        connection.sendall(http_answer(json.dumps({"accepted": len(batch.reports), "rejected": []}).encode()))

    @property
    def reports(self) -> list[Any]:
        return [report for batch in self.batches.values() for report in batch.reports]


@pytest.fixture
def counter() -> Counter:
    return Counter()


LABORATORY_SURVEY = """
id = "{id}"
version = {version}
title = "Habits"
purpose = "To see what is bought."
owner = "owner@shop.example"
starts = {starts}
ends = {ends}
epoch = "day"
retention_days = 30
min_reports = 100
[privacy]
epsilon = {epsilon}
questions_per_device = {each}
answers_every = {every}
memory = "{memory}"
{permanent}
[cohorts]
platform = ["web", "ios"]
[signals]
orders = {{ count = "purchase", days = {days} }}
spend = {{ sum = "purchase.amount", days = {days} }}
favourite = {{ top = "purchase.category", days = {days} }}
{questions}
"""

PERMANENT = "epsilon_permanent = {0}\nchanges = {1}"
QUESTION = '[[questions]]\nid = "q{0}"\none_of = "favourite"\ncategories = {1}\n'


class Laboratory:
    """Makes surveys and clients over one clock, one recorder and one state file."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "state.db"
        self.clock = ScriptedClock("2026-11-02T00:00:00")
        self.recorder = Recorder()
        self.faults = []
        self.clients = []
        self._seed = 0

    def text(self, *, memory="fresh", epsilon_permanent=2.0, changes=2, questions=1, categories=3, **changed):
        """A survey in TOML: daily from 2026-11-02 on, one question about the favourite category."""
        values = {
            "id": "habits",
            "version": 1,
            "starts": "2026-11-02",
            "ends": "2026-11-21",
            "epsilon": 1.0,
            "each": questions,
            "every": 1,
            "days": 5,
            "memory": memory,
            "permanent": PERMANENT.format(epsilon_permanent, changes) if memory == "permanent" else "",
            **changed,
        }
        names = [f"c{index + 1}" for index in range(categories)]
        body = "".join(QUESTION.format(index, names) for index in range(questions))
        return LABORATORY_SURVEY.format(questions=body, **values)

    def survey(self, **changed):
        return Survey.parse(self.text(**changed))

    def client(self, surveys=None, *, seed=None, agreed=True, **options):
        """A client whose failures would be seen in `faults`; every one has randomness of its own."""
        self._seed += 1
        options = {
            "collector": "https://tally.example",
            "state": self.path,
            "cohort": {"platform": "web"},
            "clock": self.clock,
            "randomness": SeededRandomness(self._seed if seed is None else seed),
            "transport": self.recorder,
            "on_error": self.faults.append,
            **options,
        }
        client = Client(surveys or self.survey(), **options)
        self.clients.append(client)
        if agreed:
            client.grant_consent()
        return client

    def live(self, client, epochs=1):
        """Passes epochs: a tick at the beginning and one in the last second, when everything is due."""
        for _ in range(epochs):
            self.live_together([client])

    def live_together(self, clients):
        """Passes an epoch for several devices."""
        for seconds in (86_399, 1):
            for client in clients:
                client.tick()
            self.clock.advance(seconds=seconds)

    def rows(self, query, *values):
        """Looks into the state file."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    def on_disk(self):
        """All bytes of the state file, its log, its index and its mark."""
        return b"".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())

    def silence(self, client):
        """Why the client's first survey is silent, if it is."""
        return client.status().surveys[0].silent

    def assert_answered_once(self):
        """No question of an epoch left the device with two different answers."""
        symbols = defaultdict(set)
        for batch in self.recorder.batches:
            for report in batch.reports:
                symbols[report.question, report.epoch].add((batch.id, report.symbol))
        assert all(len(found) == 1 for found in symbols.values()), symbols

    def close(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def end(self):
        """The end of the process: the next client opens the file anew."""
        self.close()
        for state in list(State._open.values()):
            state.close()
        State._open.clear()
        State._verified.clear()


@pytest.fixture
def shm(tmp_path):
    """A folder in memory where there is one: a device's file is synced often."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="hushtally-") as folder:
        yield Path(folder)


@pytest.fixture
def lab(shm):
    laboratory = Laboratory(shm)
    yield laboratory
    laboratory.close()
