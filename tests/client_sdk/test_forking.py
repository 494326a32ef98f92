"""Forks, threads, exits and crashes, in real processes and with a server that counts."""

from __future__ import annotations

import json
import os
import shutil
import site
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from survey_builder import habits_text

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = Path(__file__).parents[2]
MUST_END = 600.0  # seconds, for hundreds of threads on a machine however slow

HEAD = """
import os, sys, threading, time, logging, random
from datetime import datetime, UTC
from hushtally.client_sdk.state import file as state_file
from hushtally import Client, Survey
state_file.BUSY_SECONDS = state_file.LOCK_SECONDS = state_file.BRIEF_SECONDS = 600.0  # timeouts are not tested here
logging.basicConfig(level=logging.ERROR)
url, state, survey_path, devices = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
survey = Survey.load(survey_path)
now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)

def client(number=0, **options):
    made = Client(survey, collector=url, state=state, device=str(number), cohort={"platform": "web"},
                  clock=lambda: now, **options)
    made.grant_consent()
    return made
"""

WORKERS = """
import hushtally.client_sdk.device.embedding
hushtally.client_sdk.device.embedding.CLOSE_SECONDS = 600.0
clients = [client(number) for number in range(devices)]
for one in clients[:2]:
    one.start()

def work(seed):
    for one in random.Random(seed).sample(clients, devices):
        one.record("purchase", amount=seed)
        one.tick()

def worker(number):
    threads = [threading.Thread(target=work, args=(100 * number + index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in clients:
        one.flush(600.0)
        one.status()  # writes what is in memory, and may wait longer than close
        one.close()
"""


class Run:
    """Runs a script with the SDK and checks that it prints nothing on stderr."""

    def __init__(self, folder: Path, survey: str, url: str) -> None:
        self.state = folder / "state.db"
        self.url = url
        self._survey = folder / "survey.toml"
        self._survey.write_text(survey)

    def command(self, script: str, devices: int) -> list[str]:
        return [sys.executable, "-c", HEAD + script, self.url, str(self.state), str(self._survey), str(devices)]

    def __call__(self, script: str, devices: int = 1, timeout: float = MUST_END) -> str:
        done = subprocess.run(
            self.command(script, devices),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        )
        assert done.stderr == ""
        assert done.returncode == 0
        return done.stdout

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.state)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def run(tmp_path: Path, serve: Any, counter: Any) -> Run:
    text = habits_text(questions=3)
    return Run(tmp_path, text, serve(counter).url)


def assert_everything_arrived_once(run: Run, counter: Any, devices: int) -> None:
    assert len(counter.batches) == devices
    assert len(counter.reports) == 3 * devices
    sent = sorted((report.question, report.epoch) for report in counter.reports)
    assert sorted(run.rows("SELECT question, epoch FROM ledger")) == sent
    assert run.rows("SELECT sum(count) FROM counters WHERE name = 'delivered'") == [(3 * devices,)]
    assert run.rows("SELECT name FROM counters WHERE name != 'delivered'") == []
    assert run.rows("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.slow
def test_fifty_processes_forked_after_construction(run: Run, counter: Any) -> None:
    """8 threads in each of 50 processes record and tick for the same 12 devices. Every report arrives once, and every
    event is stored."""
    run(
        WORKERS
        + """
children = []
for number in range(50):
    child = os.fork()
    if child == 0:
        worker(number)
        sys.exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 50
""",
        devices=12,
    )
    assert_everything_arrived_once(run, counter, 12)
    assert run.rows("SELECT count(*) FROM events") == [(50 * 8 * 12,)]


def test_a_fork_while_threads_use_the_state_file(run: Run, counter: Any) -> None:
    """A process forks while its threads record, tick and send: no child hangs, and nothing is lost or doubled."""
    run(
        WORKERS
        + """
busy = [threading.Thread(target=work, args=(index,)) for index in range(4)]
for thread in busy:
    thread.start()
children = []
for number in range(12):
    child = os.fork()
    if child == 0:
        worker(number)
        sys.exit(0)
    children.append(child)
for thread in busy:
    thread.join()
for one in clients:
    one.flush(600.0)
    one.status()
    one.close()
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 12
""",
        devices=8,
    )
    assert_everything_arrived_once(run, counter, 8)
    assert run.rows("SELECT count(*) FROM events") == [((12 * 8 + 4) * 8,)]


def test_a_preloading_server(run: Run, counter: Any) -> None:
    """A client that is created and started before the fork. Each worker starts its own thread with its first call."""
    printed = run(
        """
master = client()
master.start()
master.close()
survived = client()
survived.start()
while not survived.status().counters:
    time.sleep(0.01)
if os.fork() == 0:
    names = [thread.name for thread in threading.enumerate()]
    survived.record("purchase", amount=1)
    after = sorted(thread.name for thread in threading.enumerate())
    print(names, after, flush=True)
    survived.record("purchase", amount=1)
    sys.exit(0)
os.wait()
"""
    )
    assert printed == "['MainThread'] ['MainThread', 'hushtally']\n"
    assert_everything_arrived_once(run, counter, 1)
    assert run.rows("SELECT count(*) FROM events") == [(2,)]


def test_the_parent_may_end_before_its_children(run: Run, counter: Any) -> None:
    """What the remaining processes write is in the file for the next process. A pipe ends when no process can write to
    it: the parent ends first, then its child, then the child of that child."""
    run(
        """
made = client()
made.tick()
parent_gone, parent_lives = os.pipe()
child_gone, child_lives = os.pipe()
if os.fork() == 0:
    os.close(parent_lives)
    made.record("purchase", amount=1)
    made.tick()
    if os.fork() == 0:
        os.close(child_lives)
        os.read(child_gone, 1)
        made.record("purchase", amount=2)
        made.close()
    else:
        os.read(parent_gone, 1)
        made.record("purchase", amount=3)
        made.close()
    sys.exit(0)
made.record("purchase", amount=4)
made.close()
"""
    )
    assert run.rows("SELECT count(*) FROM events") == [(4,)]
    assert run.rows("PRAGMA integrity_check") == [("ok",)]
    assert_everything_arrived_once(run, counter, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, run: Run, counter: Any, tmp_path: Path) -> None:
    """The events of a worker are on the disk when it ends, although such a worker skips atexit."""
    script = tmp_path / "script.py"
    script.write_text(
        HEAD
        + f"""
import multiprocessing

def work(number):
    made = client(number % devices)
    made.record("purchase", amount=number)
    made.tick()
    made.record("purchase", amount=number)

if __name__ == "__main__":
    before = client(0)
    before.record("purchase", amount=0)
    context = multiprocessing.get_context("{method}")
    workers = [context.Process(target=work, args=(number,)) for number in range(6)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
        assert one.exitcode == 0
    with context.Pool(2) as pool:
        pool.map(work, range(6, 10))
        pool.close()
        pool.join()
"""
    )
    done = subprocess.run(
        [sys.executable, str(script), run.url, str(run.state), str(tmp_path / "survey.toml"), "3"],
        capture_output=True,
        text=True,
        timeout=MUST_END,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_everything_arrived_once(run, counter, 3)
    assert run.rows("SELECT count(*) FROM events") == [(21,)]


def test_exit_right_after_thirty_reports_with_a_dead_server(run: Run, counter: Any, tmp_path: Path, serve: Any) -> None:
    """Nobody listens. The process ends without waiting, everything is stored, and the next start delivers it."""
    url, run.url = run.url, "http://127.0.0.1:1"
    script = """
for number in range(devices):
    made = client(number)
    made.record("purchase", amount=5)
    made.start()
    made.tick()
made.flush(0.1)
"""
    run(script, 10)
    stored = run.rows("SELECT batch, body FROM outbox ORDER BY batch")
    assert len(stored) == 10
    run.url = url
    run(script.replace("made.flush(0.1)", "[client(number).flush(600.0) for number in range(devices)]"), 10)
    assert_everything_arrived_once(run, counter, 10)
    assert sorted(counter.batches) == [batch for batch, _ in stored]
    assert [counter.batches[batch].encode() for batch, _ in stored] == [body for _, body in stored]


@pytest.mark.slow
@pytest.mark.parametrize("closing", ["", "made.close()", "made.close(); made.close()", "del made"])
def test_exit_while_a_server_hangs(closing: str, tmp_path: Path, serve: Any) -> None:
    """Its threads are in requests that take an hour. The process does not wait and prints nothing."""
    hanging = serve(lambda connection, _: connection.recv(1))
    text = habits_text(questions=3)
    run = Run(tmp_path, text, hanging.url)
    script = f"""
from hushtally.client_sdk.delivery import sender as delivery
delivery.TRY_SECONDS = 3_600.0
Client.tick.__defaults__ = (3_600.0,)
made = client()
made.start()
while "hushtally-request" not in [thread.name for thread in threading.enumerate()]:
    time.sleep(0.01)
made.record("purchase", amount=5)
{closing}
"""
    run(script)  # fails after MUST_END
    assert run.rows("SELECT count(*) FROM outbox") == [(1,)]
    assert run.rows("SELECT count(*) FROM events") == [(1,)]


def test_calls_at_interpreter_shutdown_print_nothing(run: Run) -> None:
    """From atexit handlers, threads that outlive the main thread, and destructors."""
    run(
        """
import atexit
made = client()

class Late:
    def __del__(self):
        made.record("purchase", amount=1)
        made.start()
        made.tick()
        made.flush(0.2)
        made.close()

def late():
    made.start()
    made.record("purchase", amount=1)
    made.tick()
    made.flush(0.5)

atexit.register(late)
threading.Thread(target=lambda: (threading.main_thread().join(), late())).start()
keep = Late()
keep.itself = keep
made.start()
"""
    )


@pytest.mark.slow
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("last", [1, 20, 60])
def test_killed_while_sending(last: int, counted: bool, run: Run, counter: Any, serve: Any) -> None:
    """Killed during its nth request, which is counted or lost. The next start delivers the rest, and sends the batch of
    that request again under the same id."""
    under_way, killed = threading.Event(), threading.Event()

    def behave(connection: Any, request: bytes) -> None:
        if len(server.requests) == last:
            under_way.set()
            assert killed.wait(MUST_END)
            if not counted:
                return
        counter(connection, request)

    server = serve(behave)
    run.url = server.url
    script = """
for number in range(devices):
    client(number)
for number in range(devices):
    client(number).tick()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(run.command(script, 60), env=environment) as process:
        assert under_way.wait(MUST_END)
        process.kill()
    killed.set()
    run(script + "\nfor number in range(devices): client(number).flush(600.0)", 60)
    assert len(server.requests) == 61
    assert_everything_arrived_once(run, counter, 60)


@pytest.mark.slow
def test_a_client_is_opened_while_another_process_writes(run: Run, counter: Any) -> None:
    """The client reads one moment of the file, so it never reports a change as damage."""
    run(
        """
made = client()
made.close()
children = []
for _ in range(3):
    if os.fork() == 0:
        busy = client()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            busy.withdraw_consent()
            busy.grant_consent()
        sys.exit(0)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    made = Client(survey, collector=url, state=state, device="0", cohort={"platform": "web"}, clock=lambda: now)
    assert made.status().silent is None, made.status()
sys.exit(sum(os.wait()[1] for _ in range(3)))
"""
    )


def test_a_client_that_was_closed_may_be_called(make_client: Callable[..., Any]) -> None:
    """It does nothing, and its status gives the reason. `close` may be called again, and the file can still be read."""
    client = make_client()
    client.start()
    client.close()
    client.close()
    client.start()
    client.record("purchase")
    client.tick()
    assert client.flush(0.5) is False
    assert client.status().silent == "the client was closed"
    assert [receipt.granted for receipt in client.receipts()] == [True]
    assert json.dumps(client.explain().as_dict())


IN_C = """
import ctypes
from hushtally.client_sdk.device import ticker
ticker.FIRST_SECONDS = 600.0  # Python itself may hang in the child if another thread runs at the moment of the fork
libc = ctypes.PyDLL(None)  # as uWSGI does: this fork calls none of Python's hooks

def fork_in_c():
    child = libc.fork()
    if child == 0:
        logging.disable()
    return child

def threads():
    return len(os.listdir("/proc/self/task"))  # `threading` in the child still lists the threads of the parent
"""
in_c = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")


@in_c
@pytest.mark.parametrize("hook", ["", "ctypes.pythonapi.PyOS_AfterFork_Child()"])
def test_a_fork_by_c_code(hook: str, run: Run, counter: Any) -> None:
    """Each child notices by itself that it is another process. It drops the events of its parent, records its own,
    starts its own thread, and shares the file with its parent and the other children."""
    printed = run(
        IN_C
        + f"""
made = client()
made.start()
made.record("purchase", amount=0)
children = []
for number in range(4):
    child = fork_in_c()
    if child == 0:
        {hook or "pass"}
        before = threads()
        made.record("purchase", amount=1)
        print(before, made.grant_consent(), made.status().silent, threads(), flush=True)
        for _ in range(100):
            made.record("purchase", amount=1)
            made.status()
        made.close()
        os._exit(0)
    children.append(child)
    made.record("purchase", amount=2)
    made.status()
for child in children:
    assert os.waitpid(child, 0)[1] == 0
made.tick()
made.flush(600.0)
made.close()
"""
    )
    assert printed == "1 True None 2\n" * 4
    assert run.rows("SELECT count(*) FROM events") == [(1 + 4 + 4 * 101,)]
    assert run.rows("PRAGMA integrity_check") == [("ok",)]
    assert_everything_arrived_once(run, counter, 1)


@in_c
def test_a_fork_by_c_code_while_a_thread_uses_the_file(run: Run) -> None:
    """The child could only share SQLite's locks with a thread that it does not have. So it is silent and says why, also
    with a new client. The transaction of the parent is committed."""
    printed = run(
        IN_C
        + """
made = client()
used = made._device._state
begun, may_end = threading.Event(), threading.Event()

def use():
    with used.transaction() as connection:
        connection.execute("DELETE FROM events")
        begun.set()
        may_end.wait()

thread = threading.Thread(target=use, daemon=True)
thread.start()
begun.wait()
if fork_in_c() == 0:
    made.record("purchase", amount=1)
    made.tick()
    print(made.grant_consent(), made.flush(0.1), made.status().silent)
    print(client(1).status().silent, flush=True)
    made.close()
    sys.exit(0)
assert os.wait()[1] == 0
may_end.set()
thread.join()
made.record("purchase", amount=2)
made.close()
"""
    )
    reason = f"the state file {run.state} was in use when this process was forked; this process cannot use it"
    assert printed == f"False False {reason}\n{reason}\n"
    assert run.rows("SELECT count(*) FROM events") == [(1,)]
    assert run.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_fork_in_a_transaction(run: Run) -> None:
    """A clock forks. The child never uses the parent's connection: its call fails, and it is silent after that. The
    parent's transaction is committed."""
    printed = run(
        """
forked = []

def clock():
    connection = made and made._device._state._connection
    if connection is not None and connection.in_transaction and not forked:
        forked.append(os.fork())
    return now

made = None
faults = []
made = Client(survey, collector=url, state=state, cohort={"platform": "web"}, clock=clock, on_error=faults.append)
made.grant_consent()
made.record("purchase", amount=1)
logging.disable()
withdrawn = made.withdraw_consent()
if forked == [0]:
    print("child", withdrawn, faults[0].why)
    made.record("purchase", amount=1)
    print(made.status().silent, flush=True)
    made.close()
    sys.exit(0)
assert os.wait()[1] == 0
print("parent", withdrawn, made.status().silent, made.grant_consent())
made.record("purchase", amount=2)
made.close()
"""
    )
    reason = f"the state file {run.state} was in use when this process was forked; this process cannot use it"
    assert printed == f"child False the process was forked in the middle of the call\n{reason}\nparent True None True\n"
    assert run.rows("SELECT granted FROM consents") == [(1,)]
    assert run.rows("SELECT count(*) FROM events") == [(1,)]
    assert run.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_fork_in_a_request(run: Run) -> None:
    """A transport forks. The file is not in use then, so parent and child both go on. The response counts once."""
    run(
        """
from hushtally.testing import Recorder
forked = []

class Forking(Recorder):
    def request(self, *arguments):
        forked.append(os.fork())
        return super().request(*arguments)

made = client(transport=Forking())
made.record("purchase", amount=0)
made.tick()
made.record("purchase", amount=1)
made.close()
if forked == [0]:
    sys.exit(0)
assert os.wait()[1] == 0
"""
    )
    assert run.rows("SELECT count(*) FROM events") == [(3,)]
    assert run.rows("SELECT name, count FROM counters") == [("delivered", 3)]


def test_a_fork_in_a_signal_handler(run: Run) -> None:
    """The handler interrupts a fork, a call, or nothing. What waits in the parent is done there, and only there. A
    child that is forked while a call uses the file is silent."""
    printed = run(
        """
import signal
logging.disable()
forks, children = 0, []

def handler(*_):
    global forks
    forks += 1
    made.record("purchase", amount=1)
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        made.record("purchase", amount=2)
        made.close()
        os._exit(0)
    children.append(child)
    signal.setitimer(signal.ITIMER_REAL, 0.002)

made = client()
made.status()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.002)
while forks < 20:
    made.record("purchase", amount=3)
    made.status()
    child = os.fork()
    if child == 0:
        os._exit(0)
    children.append(child)
signal.setitimer(signal.ITIMER_REAL, 0)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
made.close()
print(forks)
"""
    )
    assert run.rows("SELECT count(*) FROM events WHERE fields LIKE '%1%'") == [(int(printed),)]
    assert run.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_finalizer_that_records_as_the_interpreter_ends(run: Run) -> None:
    """It runs after all exit handlers. Its event is written at once."""
    run(
        """
class Session:
    def __del__(self):
        made.record("purchase", amount=1)

made = client()
made.record("purchase", amount=2)
session = Session()
session.itself = session
"""
    )
    assert run.rows("SELECT count(*) FROM events") == [(2,)]


WORKER_SCRIPT = """
import {module}

def task(number):
    for _ in range(10):
        made.record("purchase", amount=number)

if __name__ == "__main__":
    made = client()
    pool = {module}.Pool(1, maxtasksperchild=1)
    for number in range(2):
        pool.apply(task, (number,))
    pool.close()
    pool.join()
    made.close()
"""


@pytest.mark.parametrize("module", ["multiprocessing", "billiard"])
def test_the_workers_of_a_pool_that_replaces_them(module: str, run: Run) -> None:
    """Celery uses billiard, whose workers end by os._exit and call nothing before. No event is lost."""
    if module == "billiard":
        pytest.importorskip("billiard")
    run(WORKER_SCRIPT.format(module=module))
    assert run.rows("SELECT count(*) FROM events") == [(20,)]


def in_billiard(name: str) -> dict[str, object]:
    return {"billiard.process": SimpleNamespace(current_process=lambda: SimpleNamespace(name=name))}


@pytest.mark.parametrize(
    ("modules", "written"),
    [
        ({}, 0),
        (in_billiard("MainProcess"), 0),
        (in_billiard("ForkPoolWorker-1"), 1),
        ({"uwsgi": SimpleNamespace()}, 1),
    ],
)
def test_a_process_that_may_skip_exit_handlers_writes_every_event_at_once(
    modules: dict[str, object],
    written: int,
    make_client: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
    make_client().record("purchase", amount=1)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (written,)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("uwsgi"), reason="needs uWSGI 2")
@pytest.mark.parametrize("options", [[], ["--enable-threads"], ["--enable-threads", "--lazy-apps"]])
def test_uwsgi(options: list[str], tmp_path: Path) -> None:
    """The app creates and starts its client before uWSGI forks. Every request is answered and every event is kept."""
    (tmp_path / "survey.toml").write_text(habits_text())
    (tmp_path / "wsgi.py").write_text(
        """
from datetime import UTC, datetime
from hushtally import Client, Survey
client = Client(Survey.load("survey.toml"), collector="http://127.0.0.1:9", state="state.db",
                cohort={"platform": "web"}, clock=lambda: datetime(2026, 11, 2, 9, tzinfo=UTC))
client.grant_consent()
client.start()

def application(environ, start_response):
    client.record("purchase", amount=1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(client.grant_consent()).encode()]
"""
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    command = ["uwsgi", "--http-socket", address, "--wsgi-file", "wsgi.py", "--master", "--processes", "2"]
    folders = [str(ROOT), *site.getsitepackages()]
    with subprocess.Popen(
        [*command, "--need-app", "--die-on-term", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        log = []
        for line in server.stderr:
            log.append(line)
            if "spawned uWSGI worker 2" in line:
                break
        else:
            pytest.fail("".join(log))
        for _ in range(6):
            with urllib.request.urlopen(f"http://{address}/", timeout=MUST_END) as response:
                assert response.read() == b"True"
        server.terminate()
        server.stderr.read()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (6,)
