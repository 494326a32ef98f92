"""Surveys by the day, clients with a scripted world, and servers on loopback that do as they are told."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.delivery import sender
from hushtally.client_sdk.delivery.backoff import Backoffs
from hushtally.client_sdk.state.rollback import _inode
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from laboratory import Laboratory
from loopback_server import CountingCollector, Loopback, http_answer, read_request
from survey_builder import MONDAY, habits_text

TODAY = MONDAY


def habits(*arguments: Any, **figures: Any) -> Survey:
    return Survey.parse(habits_text(*arguments, **figures))


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers: failures, as a port may be given out again, and what was logged once."""
    monkeypatch.setattr(sender, "_shared_backoffs", Backoffs())
    monkeypatch.setattr("hushtally.client_sdk.device.recording._logged", set())


@pytest.fixture
def survey() -> Survey:
    return habits()


@pytest.fixture
def make_survey() -> Callable[..., Survey]:
    """Makes surveys about purchases with other figures."""
    return habits


@pytest.fixture
def live_survey() -> Survey:
    """A survey that runs by this machine's clock; its epoch is a month, which a test seldom sees the end of."""
    today = datetime.now(UTC).date()
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return habits(starts=first, days=(following - first).days, epoch="month", questions=3)


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


@pytest.fixture
def counter() -> CountingCollector:
    return CountingCollector()


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
def disk(tmp_path: Path) -> Path:
    """A folder on a disk that distinguishes a new file from a deleted one, as the SDK needs to detect every copy."""
    path, found = tmp_path / "probe", set()
    for _ in range(3):
        path.unlink(missing_ok=True)
        path.touch()
        with path.open() as file:
            found.add(_inode(file.fileno()))
    path.unlink()
    if len(found) < 3:
        pytest.skip("this file system reuses inode numbers and reports no generations")
    return tmp_path


@pytest.fixture
def lab(shm):
    laboratory = Laboratory(shm)
    yield laboratory
    laboratory.close()
