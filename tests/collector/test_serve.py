"""The collector as a real process: signals, crashes, what it prints, what it leaves behind."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client_sdk.file_kinds import COLLECTOR
from client_sdk.report import MOST_BYTES, Batch, Reason, Report
from client_sdk.survey import Survey
from collector.admission import admit
from collector.app import create_app
from collector.refusal import Refused
from collector.server import MOST_READ, Server, listen
from collector.sqlite_store import SqliteStore
from hushtally.cli import main

Start = Callable[..., Any]
STOPPED = (0, "hushtally: stopped; every answered batch is counted\n")


def tally(path: Path) -> Counter[int]:
    """The count of each symbol over all cells."""
    with closing(sqlite3.connect(path)) as connection:
        return Counter(dict(connection.execute("SELECT symbol, sum(count) FROM counts GROUP BY symbol")))


def post(process: Any, batch: Any) -> Any:
    status, answer = process.ask("POST", "/v1/reports", batch.encode())
    assert status == 200, answer
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: int, start: Start, live: Any, tmp_path: Path) -> None:
    """It says that it began and that it ended, collects, and leaves with 0, without a log beside the database."""
    process = start()
    assert process.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert post(process, live.batch(live.report()))["accepted"] == 1
    assert process.stop(number) == STOPPED
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counts.db", "survey.toml"]
    assert tally(tmp_path / "counts.db") == {0: 1}


def test_a_request_that_has_begun_is_finished(start: Start, live: Any, tmp_path: Path) -> None:
    """A body still on its way when the signal comes is counted and answered; new connections are not taken."""
    process = start()
    body = live.batch(live.report()).encode()
    fields = ("POST /v1/reports HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}")
    head = "\r\n".join((*fields, "", ""))
    with closing(socket.create_connection(("127.0.0.1", process.port), 10)) as connection:
        connection.sendall(head.encode() + body[:20])
        while process.ask("GET", "/healthz")[0] != 200:
            pass
        process.popen.send_signal(signal.SIGTERM)
        sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", process.port), 10)
        connection.sendall(body[20:])
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert process.stop() == STOPPED
    assert tally(tmp_path / "counts.db") == {0: 1}


def test_a_killed_collector_counts_what_it_acknowledged_once(start: Start, live: Any, tmp_path: Path) -> None:
    """Killed amid a concurrent load and restarted: each acknowledged batch is there; after retries, each batch once."""
    waiting = [live.batch(live.report("affinity", number % 100, -(number % 2))) for number in range(1_200)]
    acknowledged: list[Any] = []
    enough = threading.Event()
    process = start()

    def send(batch: Any) -> None:
        try:
            post(process, batch)
        except OSError:
            return
        acknowledged.append(batch)
        if len(acknowledged) == 150:
            enough.set()

    with ThreadPoolExecutor(16) as pool:
        for batch in waiting:
            pool.submit(send, batch)
        assert enough.wait(30)
        process.stop(signal.SIGKILL)
    assert len(acknowledged) < len(waiting)

    process = start()
    known = Counter(batch.reports[0].symbol for batch in acknowledged)
    assert known <= tally(tmp_path / "counts.db")
    with ThreadPoolExecutor(16) as pool:
        assert all(answer["accepted"] == 1 for answer in pool.map(lambda batch: post(process, batch), waiting))
    assert process.stop() == STOPPED
    assert tally(tmp_path / "counts.db") == Counter(batch.reports[0].symbol for batch in waiting)


def _delete(path: Path) -> None:
    for file in path.parent.glob("counts.db*"):
        file.unlink()


def _replace(path: Path) -> None:
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(copy)) as other:
        connection.backup(other)
    copy.rename(path)


@pytest.mark.parametrize("lose", [_delete, _replace])
def test_a_database_that_is_gone_is_not_counted_into(
    lose: Callable[[Path], None], start: Start, live: Any, tmp_path: Path
) -> None:
    """Deleted or replaced under the server: 503 from then on, a line that says why, exit 1; nothing in the new file."""
    path = tmp_path / "counts.db"
    process = start()
    assert post(process, live.batch(live.report()))["accepted"] == 1
    lose(path)
    before = tally(path) if path.exists() else None
    for ask in (("GET", "/healthz"), ("POST", "/v1/reports", live.batch(live.report()).encode())) * 2:
        status, problem = process.ask(*ask)
        assert (status, problem["type"]) == (503, "urn:hushtally:unavailable")
    code, printed = process.stop()
    why = (
        f"database {path} was deleted, moved or replaced while it was collected into; what was counted went with it,"
        " and nothing more is counted until it is back or the collector is restarted"
    )
    assert code == 1
    assert printed == (
        f"batches would be refused: {why}; told once\nbatches are refused: {why}; told once\nError: {why}\n"
    )
    assert (tally(path) if path.exists() else None) == before


def test_a_database_that_is_back_is_counted_into(start: Start, live: Any, tmp_path: Path) -> None:
    """Moved away and back under the server: what came meanwhile is refused, what came before and after is counted."""
    path, away = tmp_path / "counts.db", tmp_path / "away.db"
    process = start()
    assert post(process, live.batch(live.report()))["accepted"] == 1
    path.rename(away)
    assert process.ask("POST", "/v1/reports", live.batch(live.report()).encode())[0] == 503
    away.rename(path)
    assert post(process, live.batch(live.report()))["accepted"] == 1
    code, printed = process.stop()
    assert [line.split(": database")[0] for line in printed.splitlines()] == [
        "batches are refused",
        "no longer: batches are refused",
        STOPPED[1].rstrip(),
    ]
    assert code == 0
    assert tally(path) == {0: 2}


def test_a_survey_that_has_ended_is_served_and_erased(start: Start, text: Callable[..., str], tmp_path: Path) -> None:
    """One line says so, its reports are refused for good, and what is over is gone from the disk as it starts."""
    path, file = tmp_path / "counts.db", tmp_path / "old.toml"
    begun = datetime.now(UTC).date() - timedelta(days=40)
    file.write_text(text(begun))
    over = Survey.parse(file.read_text())
    batch = Batch("0" * 32, over.id, 1, over.digest, (Report("frequency", begun.isoformat(), {"platform": "web"}, 0),))
    later = replace(batch, id="1" * 32, reports=(replace(batch.reports[0], epoch=over.ends.isoformat()),))
    with closing(SqliteStore(path)) as store:
        store.register([over])
        store.add([admit(batch, [over], begun), admit(later, [over], over.ends)])
    process = start(survey=file)
    last = over.ends + timedelta(days=1)
    assert process.said == [
        f"habits v1 has ended, its last reports were due by {last}: reports are refused,"
        f" and its last counts erased on {last + timedelta(days=31)}\n"
    ]
    assert post(process, replace(later, id="2" * 32)) == {
        "accepted": 0,
        "rejected": [{"index": 0, "reason": "epoch_closed", "retryable": False}],
    }
    assert process.stop() == STOPPED
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT epoch FROM cells").fetchall() == [(over.ends.isoformat(),)]
    assert begun.isoformat().encode() not in path.read_bytes()
    assert sorted(one.name for one in tmp_path.glob("counts.db*")) == ["counts.db"]


def test_a_survey_that_runs_but_is_not_served_is_told(
    start: Start, live: Any, text: Callable[..., str], tmp_path: Path
) -> None:
    """In a line as it starts; not of one that has ended, nor of one that cannot be read, and neither keeps it."""
    path, next_one = tmp_path / "counts.db", replace(live.survey, version=2)
    over = replace(Survey.parse(text(live.today - timedelta(days=40))), id="old")
    with closing(SqliteStore(path)) as store:
        store.register([next_one, over, replace(over, id="broken")])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{}' WHERE id = 'broken'")
    process = start()
    assert process.said == [
        f"habits v2 is in the database but not served: its reports, due by {next_one.ends + timedelta(days=1)},"
        " are refused until its file is named, too\n"
    ]
    assert process.stop() == STOPPED


def test_a_survey_that_cannot_be_purged_is_told_once(
    start: Start, live: Any, text: Callable[..., str], tmp_path: Path
) -> None:
    """By its name, as it starts; other surveys are purged and counted, and no batch brings the line again."""
    path, begun = tmp_path / "counts.db", live.today - timedelta(days=60)
    olds = [replace(live, survey=replace(Survey.parse(text(begun)), id=id), today=begun) for id in ("broken", "old")]
    with closing(SqliteStore(path)) as store:
        store.register([old.survey for old in olds])
        store.add([admit(old.batch(old.report()), [old.survey], begun) for old in olds])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{' WHERE id = 'broken'")
    process = start()
    assert process.said == [
        "the counts of broken v1 could not be erased: its stored definition cannot be read; told once\n"
    ]
    assert all(post(process, live.batch(live.report()))["accepted"] == 1 for _ in range(5))
    assert process.metrics()["hushtally_erasures_overdue"] == 1
    assert process.stop() == STOPPED
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT DISTINCT survey FROM cells ORDER BY survey").fetchall()
    assert found == [("broken",), ("habits",)]


def test_the_metrics_tell_what_came_and_nothing_else(start: Start, live: Any, tmp_path: Path) -> None:
    """Every series is there from the start; reasons show, and nothing that a sender chose becomes a label."""
    process = start()
    before = process.metrics()
    assert before.pop("hushtally_can_count") == 1
    assert set(before.values()) == {0}
    assert len(before) == 1 + len(Reason) + len(Refused) + 2

    batch = live.batch(live.report(), live.report(), live.report(platform="canary"), live.report("canary"))
    for _ in range(2):
        assert post(process, batch)["accepted"] == 2
    refused = [b"canary", b" " * (MOST_BYTES + 1), replace(batch, survey="canary").encode()]
    assert [process.ask("POST", "/v1/reports", body)[0] for body in refused] == [400, 413, 422]
    assert process.ask("POST", "/v1/reports", b"{}", **{"Content-Type": "text/canary"})[0] == 415
    assert process.ask("GET", "/v1/surveys/canary/1")[0] == 404
    after = process.metrics()
    survey = 'survey="habits",version="1"'
    assert {name: value for name, value in after.items() if value} == {
        f"hushtally_reports_counted_total{{{survey}}}": 2,
        f'hushtally_reports_rejected_total{{{survey},reason="cohort_mismatch"}}': 1,
        f'hushtally_reports_rejected_total{{{survey},reason="unknown_question"}}': 1,
        'hushtally_batches_refused_total{reason="malformed"}': 1,
        'hushtally_batches_refused_total{reason="too_large"}': 1,
        'hushtally_batches_refused_total{reason="unknown_survey"}': 1,
        'hushtally_batches_refused_total{reason="unsupported_content"}': 1,
        "hushtally_can_count": 1,
    }
    assert after.keys() == before.keys() | {"hushtally_can_count"}

    _delete(tmp_path / "counts.db")
    assert process.ask("POST", "/v1/reports", live.batch(live.report()).encode())[0] == 503
    lost = process.metrics()
    assert lost["hushtally_can_count"] == 0
    assert lost["hushtally_commits_failed_total"] == 1
    assert lost['hushtally_batches_refused_total{reason="unavailable"}'] == 1


def test_two_collectors_on_one_database_lose_nothing(start: Start, live: Any, tmp_path: Path) -> None:
    """As while one replaces another: every batch, sent to both, counts once."""
    processes = [start(), start()]
    waiting = [live.batch(live.report("affinity", number)) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: post(*pair), [(one, batch) for batch in waiting for one in processes]))
    assert all(answer["accepted"] == 1 for answer in answers)
    assert [process.stop() for process in processes] == [STOPPED] * 2
    assert tally(tmp_path / "counts.db") == Counter(range(60))


def test_nothing_about_the_sender_is_kept(start: Start, live: Any, tmp_path: Path) -> None:
    """Agent, address, headers, queries and bodies that were refused are in no file and in no line printed."""
    process = start()
    headers = dict.fromkeys(("User-Agent", "X-Forwarded-For", "Cookie", "Referer", "X-Device"), "canary")
    body = live.batch(live.report()).encode()
    refused = json.dumps(json.loads(body) | {"canary": "canary"}).encode()
    assert process.ask("POST", "/v1/reports?device=canary", body, **headers)[0] == 200
    assert process.ask("POST", "/v1/reports", refused, **headers)[0] == 400
    assert process.ask("POST", "/v1/reports", b"canary", **headers)[0] == 400
    assert process.ask("GET", "/v1/surveys/canary/1", **headers)[0] == 404
    with closing(socket.create_connection(("127.0.0.1", process.port), 10)) as connection:
        connection.sendall(b"canary canary canary\r\n\r\n")
        assert b"application/problem+json" in connection.recv(10_000)
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    code, printed = process.stop()
    assert (code, printed) == STOPPED
    kept += b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    assert b'{"accepted":1' in kept
    assert b"canary" not in kept
    assert b"127.0.0.1" not in kept


HEAD = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def answer(process: Any, request: bytes) -> tuple[bytes, Any]:
    """The head of the answer to these very bytes, and the problem in its body; the connection is closed after it."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=20) as connection:
        connection.sendall(request)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head, json.loads(body)


@pytest.mark.parametrize(
    "flood",
    [
        b"Content-Length: 1100000\r\n\r\n ",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % MOST_READ + b" " * MOST_READ,
    ],
)
def test_a_flood_is_cut_off_with_the_same_words(flood: bytes, start: Start) -> None:
    """More than twice the limit is not even read to its end: refused, and counted, as any body too large."""
    process = start()
    head, problem = answer(process, HEAD + flood)
    assert head.startswith(b"HTTP/1.1 413 "), problem
    assert (problem["type"], problem["status"]) == ("urn:hushtally:too_large", 413)
    assert problem["detail"] == "the body must have at most 262,144 bytes"
    assert process.metrics()['hushtally_batches_refused_total{reason="too_large"}'] == 1


@pytest.mark.parametrize("wrong", [b"Content-Length: many\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n?\r\n"])
def test_what_is_no_http_is_no_word_on_a_batch(wrong: bytes, start: Start) -> None:
    """No type of ours: a proxy may have spoiled it on the way, and a device shall try again."""
    head, problem = answer(start(), HEAD + wrong)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert (problem["type"], problem["status"]) == ("about:blank", 400)


def test_no_body_is_written_to_a_temporary_file(survey: Survey, tmp_path: Path) -> None:
    """Waitress would, from a size on; it is above that at which a body is cut off, with the last piece that came."""
    app = create_app([survey], tmp_path / "counts.db")
    with listen("127.0.0.1", 0) as listening:
        server = Server(app, listening, 1)
        server._drain()
        settings = server._server.adj
    app.extensions["hushtally"].close()
    assert settings.max_request_body_size + settings.recv_bytes < settings.inbuf_overflow


def run(*arguments: object) -> Result:
    """`serve` in this process, for calls that fail before it serves."""
    return CliRunner().invoke(main, ["serve", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path, live: Any, text: Callable[..., str]) -> Path:
    path = tmp_path / "survey.toml"
    path.write_text(text(live.today))
    return path


def test_every_mistake_in_every_file_is_told(tmp_path: Path, file: Path) -> None:
    """One line each, with its file; exit 1; no database is made."""
    broken = tmp_path / "broken.toml"
    text = file.read_text().replace("retention_days = 30", "retention_days = 0")
    broken.write_text(text.replace("epsilon = 1.0", "epsilon = 80"))
    missing = tmp_path / "missing.toml"
    result = run(file, broken, missing, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert [line.split(": ")[:3] for line in result.stderr.splitlines()] == [
        ["Error", str(broken), "retention_days"],
        ["Error", str(broken), "privacy.epsilon"],
        ["Error", str(missing), "cannot be read"],
    ]
    assert not (tmp_path / "counts.db").exists()


def test_two_files_of_one_survey_are_told(tmp_path: Path, file: Path) -> None:
    """Equal or not, the same file twice too: which they are, and what to do; nothing is collected."""
    copy = tmp_path / "copy.toml"
    copy.write_text(file.read_text())
    result = run(file, copy, file, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr == "".join(
        f"Error: {other}: is habits v1, and so is {file}: name one of them, or give one a new version\n"
        for other in (copy, file)
    )
    assert not (tmp_path / "counts.db").exists()


def test_a_port_in_use_is_told(tmp_path: Path, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(file, "--port", port, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr == f"Error: cannot listen at 127.0.0.1:{port}: Address already in use\n"
    assert not (tmp_path / "counts.db").exists()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 300])
def test_a_host_that_is_none_is_told(host: str, tmp_path: Path, file: Path) -> None:
    result = run(file, "--host", host, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot listen at {host}:8080: ")


@pytest.mark.parametrize("version", [0, 2])
def test_a_database_that_is_refused_stays_as_it_is(version: int, tmp_path: Path, file: Path) -> None:
    """Another program's (version 0 here) or a newer version's: one line, exit 1, the same bytes."""
    path = tmp_path / "counts.db"
    with closing(sqlite3.connect(path)) as connection:
        application = COLLECTOR if version else 0
        connection.executescript(
            f"CREATE TABLE t (a); PRAGMA application_id = {application}; PRAGMA user_version = {version}"
        )
    before = path.read_bytes()
    result = run(file, "--port", 0, "--database", path)
    assert result.exit_code == 1
    why = "was written by a newer hushtally (schema 2, this one knows 1)" if version else "is no hushtally database"
    assert result.stderr == f"Error: {path} {why}\n"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.toml", "--port", "70000"], ["x.toml", "--port", "http"], ["x.toml", "--threads", "0"], ["--nothing"]],
)
def test_a_usage_error_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_database_may_come_from_the_environment(tmp_path: Path, file: Path) -> None:
    """HUSHTALLY_DATABASE is the option's default, and the help names it."""
    assert "HUSHTALLY_DATABASE" in run("--help").stdout
    missing = tmp_path / "nowhere" / "counts.db"
    result = CliRunner(env={"HUSHTALLY_DATABASE": str(missing)}).invoke(main, ["serve", str(file), "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {missing} cannot be written: there is no folder {missing.parent}\n"


def test_the_day_of_the_survey_is_in_utc(live: Any) -> None:
    """The processes here run by the machine's clock; a test that crosses midnight still finds the epoch open."""
    assert live.survey.runs(live.today + timedelta(days=1))
