"""The collector as a real process: signals, crashes, what it prints, and which files it leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MAX_BYTES, Batch, Reason, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit
from hushtally.collector.sqlite_store import SqliteStore

Start = Callable[..., Any]
DEADLINE = 120.0  # seconds, for the slowest machine
STOPPED = (0, "hushtally: stopped; every acknowledged batch is counted\n")


def tally(path: Path) -> Counter[int]:
    """The count of each symbol over all cells."""
    with closing(sqlite3.connect(path)) as connection:
        return Counter(dict(connection.execute("SELECT symbol, sum(count) FROM counts GROUP BY symbol")))


def post(process: Any, batch: Any) -> Any:
    status, response = process.request("POST", "/v1/reports", batch.encode())
    assert status == 200, response
    return response


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_collector_cleanly(number: int, start: Start, live: Any, tmp_path: Path) -> None:
    """It prints that it started and that it stopped, exits with 0, and leaves no log beside the database."""
    process = start()
    assert process.request("GET", "/healthz") == (200, {"status": "ok"})
    assert post(process, live.batch(live.report()))["accepted"] == 1
    assert process.stop(number) == STOPPED
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counts.db", "survey.toml"]
    assert tally(tmp_path / "counts.db") == {0: 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_collector_whose_log_reader_has_gone_stops_cleanly(
    number: int, start: Start, live: Any, tmp_path: Path
) -> None:
    """For example after a restart of the log service. The exit status is that of the counts, not of the log."""
    process = start()
    process.popen.stderr.close()
    assert post(process, live.batch(live.report()))["accepted"] == 1
    process.popen.send_signal(number)
    assert process.popen.wait(DEADLINE) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counts.db", "survey.toml"]
    assert tally(tmp_path / "counts.db") == {0: 1}


@pytest.mark.parametrize("output", ["closed pipe", "/dev/full"])
def test_a_collector_starts_and_counts_without_a_log(
    output: str, start_without_log: Start, live: Any, text: Callable[..., str], tmp_path: Path
) -> None:
    """Nobody reads its output, or the log's disk is full, from the start: also warnings at startup are lost."""
    ended = tmp_path / "ended.toml"
    ended.write_text(text(live.today - timedelta(days=60)).replace('id = "habits"', 'id = "old"'))
    reader, written = os.pipe()
    os.close(reader)
    if output == "/dev/full":
        os.dup2(os.open(output, os.O_WRONLY), written)
    process = start_without_log(written, ended)
    assert post(process, live.batch(live.report()))["accepted"] == 1
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(DEADLINE) == 0
    assert tally(tmp_path / "counts.db") == {0: 1}


def test_a_hangup_that_nohup_ignores_does_not_stop_the_collector(live: Any, start: Start) -> None:
    """An operator who starts the collector with `nohup` may close the terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child process inherits that a signal is ignored
    try:
        process = start()
    finally:
        signal.signal(signal.SIGHUP, before)
    process.popen.send_signal(signal.SIGHUP)
    assert post(process, live.batch(live.report()))["accepted"] == 1
    assert process.stop() == STOPPED


def test_a_new_database_is_reported_as_new(start: Start, tmp_path: Path) -> None:
    """An operator who forgot to restore a backup sees it. Other users cannot read the file with its raw counts."""
    first = start()
    assert f"into the new database {tmp_path}/counts.db at" in first.startup_lines[-1]
    assert stat.filemode((tmp_path / "counts.db").stat().st_mode) == "-rw-------"
    first.stop(signal.SIGTERM)
    assert f"into {tmp_path}/counts.db at" in start().startup_lines[-1]


def refuses(port: int) -> bool:
    """Waits until new connections are refused; returns whether that happened."""
    deadline = monotonic() + DEADLINE
    while monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), DEADLINE).close()
        except (
            ConnectionRefusedError,
            ConnectionResetError,
        ):  # reset: it was in the backlog of the closed socket
            return True
        sleep(0.05)
    return False


def test_a_request_that_has_begun_is_finished(start: Start, live: Any, tmp_path: Path) -> None:
    """A request whose body arrives after the signal is counted and gets its response. New connections are refused."""
    process = start(grace=DEADLINE)
    body = live.batch(live.report()).encode()
    fields = ("POST /v1/reports HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}")
    head = "\r\n".join((*fields, "", ""))
    with closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)) as connection:
        connection.sendall(head.encode() + body[:20])
        while process.request("GET", "/healthz")[0] != 200:
            pass
        process.popen.send_signal(signal.SIGTERM)
        assert refuses(process.port)
        connection.sendall(body[20:])
        response = connection.recv(10_000)
    assert response.startswith(b"HTTP/1.1 200 OK")
    _, printed = process.popen.communicate(timeout=DEADLINE)  # a second signal would kill it
    assert (process.popen.returncode, printed) == STOPPED
    assert tally(tmp_path / "counts.db") == {0: 1}


def test_a_killed_collector_has_counted_every_acknowledged_batch_exactly_once(
    start: Start, live: Any, tmp_path: Path
) -> None:
    """It is killed under concurrent load and restarted. After the senders retry, every batch is counted once."""
    waiting = [live.batch(live.report("affinity", number % 100, -(number % 2))) for number in range(1_200)]
    acknowledged: list[Any] = []
    process = start()

    def send(batch: Any) -> None:
        try:
            post(process, batch)
        except OSError:
            return
        acknowledged.append(batch)
        if len(acknowledged) >= 150:
            process.popen.kill()

    with ThreadPoolExecutor(16) as pool:
        for batch in waiting:
            pool.submit(send, batch)
    assert 150 <= len(acknowledged) < len(waiting)

    process = start()
    known = Counter(batch.reports[0].symbol for batch in acknowledged)
    assert known <= tally(tmp_path / "counts.db")
    with ThreadPoolExecutor(16) as pool:
        assert all(response["accepted"] == 1 for response in pool.map(lambda batch: post(process, batch), waiting))
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
def test_nothing_is_counted_without_the_database(
    lose: Callable[[Path], None], start: Start, live: Any, tmp_path: Path
) -> None:
    """After the file was deleted or replaced, every request gets 503, one line says why, and the exit code is 1.

    Nothing is written to the new file.
    """
    path = tmp_path / "counts.db"
    process = start()
    assert post(process, live.batch(live.report()))["accepted"] == 1
    lose(path)
    before = tally(path) if path.exists() else None
    while process.request("GET", "/healthz")[0] == 200:  # the writer checks the file when it is asked
        sleep(0.1)
    for ask in (("POST", "/v1/reports", live.batch(live.report()).encode()), ("GET", "/healthz")) * 2:
        status, problem = process.request(*ask)
        assert (status, problem["type"]) == (503, "urn:hushtally:unavailable")
    code, printed = process.stop()
    why = (
        f"database {path} was deleted, moved or replaced while the collector was running; its counts are gone with it,"
        " and nothing is counted until the file is back or the collector is restarted"
    )
    assert code == 1
    assert printed == (
        f"batches would be refused: {why} (logged once)\nbatches are refused: {why} (logged once)\nError: {why}\n"
    )
    assert (tally(path) if path.exists() else None) == before


def test_counting_resumes_when_the_database_is_back(start: Start, live: Any, tmp_path: Path) -> None:
    """While the file is moved away, batches are refused. The batches before and after are counted."""
    path, away = tmp_path / "counts.db", tmp_path / "away.db"
    process = start()
    assert post(process, live.batch(live.report()))["accepted"] == 1
    path.rename(away)
    assert process.request("POST", "/v1/reports", live.batch(live.report()).encode())[0] == 503
    away.rename(path)
    assert post(process, live.batch(live.report()))["accepted"] == 1
    code, printed = process.stop()
    assert [line.split(": database")[0] for line in printed.splitlines()] == [
        "batches are refused",
        "resolved: batches are refused",
        STOPPED[1].rstrip(),
    ]
    assert code == 0
    assert tally(path) == {0: 2}


def test_a_survey_that_has_ended_can_be_served(start: Start, text: Callable[..., str], tmp_path: Path) -> None:
    """One line reports its end, its reports are rejected with a final reason, and its expired counts are erased."""
    path, file = tmp_path / "counts.db", tmp_path / "old.toml"
    begun = datetime.now(UTC).date() - timedelta(days=40)
    file.write_text(text(begun))
    ended = Survey.parse(file.read_text())
    report = Report("frequency", begun.isoformat(), {"platform": "web"}, 0)
    batch = Batch("0" * 32, ended.id, 1, ended.digest, (report,))
    later = replace(batch, id="1" * 32, reports=(replace(report, epoch=ended.ends.isoformat()),))
    with closing(SqliteStore(path)) as store:
        store.register([ended])
        store.add([admit(batch, [ended], begun), admit(later, [ended], ended.ends)])
    process = start(survey=file)
    last = ended.ends + timedelta(days=1)
    assert process.startup_lines[:-1] == [
        f"habits v1 has ended: reports were accepted until {last} and are now rejected;"
        f" the last counts are erased on {last + timedelta(days=31)}\n",
        f"habits v1: erased the counts of {begun}; the next erasure is due on {last + timedelta(days=31)}\n",
    ]
    assert post(process, replace(later, id="2" * 32)) == {
        "accepted": 0,
        "rejected": [{"index": 0, "reason": "epoch_closed", "retryable": False}],
    }
    assert process.stop() == STOPPED
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT epoch FROM cells").fetchall() == [(ended.ends.isoformat(),)]
    assert begun.isoformat().encode() not in path.read_bytes()
    assert sorted(one.name for one in tmp_path.glob("counts.db*")) == ["counts.db"]


def test_a_running_survey_that_is_not_served_is_reported(
    start: Start, live: Any, text: Callable[..., str], tmp_path: Path
) -> None:
    """The collector prints one line at its start. It does not report a survey that has ended or is damaged."""
    path, newer = tmp_path / "counts.db", replace(live.survey, version=2)
    ended = replace(Survey.parse(text(live.today - timedelta(days=40))), id="old")
    with closing(SqliteStore(path)) as store:
        store.register([newer, ended, replace(ended, id="broken")])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{}' WHERE id = 'broken'")
    process = start()
    assert process.startup_lines[:-1] == [
        "habits v2 is in the database but is not served: its devices send reports until"
        f" {newer.ends + timedelta(days=1)}, and this collector refuses them; add the survey file to"
        " `hushtally serve`\n"
    ]
    assert process.stop() == STOPPED


def test_a_survey_that_cannot_be_purged_is_reported_once(
    start: Start, live: Any, text: Callable[..., str], tmp_path: Path
) -> None:
    """The line appears at the start and names the survey. Other surveys are purged and counted as usual."""
    path, begun = tmp_path / "counts.db", live.today - timedelta(days=60)
    olds = [replace(live, survey=replace(Survey.parse(text(begun)), id=id), today=begun) for id in ("broken", "old")]
    with closing(SqliteStore(path)) as store:
        store.register([old.survey for old in olds])
        store.add([admit(old.batch(old.report()), [old.survey], begun) for old in olds])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{' WHERE id = 'broken'")
    process = start()
    assert process.startup_lines[:-1] == [
        f"old v1: erased the counts of {begun}; nothing is left\n",
        "the counts of broken v1 could not be erased: the stored definition cannot be read (logged once)\n",
    ]
    assert all(post(process, live.batch(live.report()))["accepted"] == 1 for _ in range(5))
    assert process.metrics()["hushtally_erasures_overdue"] == 1
    assert process.stop() == STOPPED
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT DISTINCT survey FROM cells ORDER BY survey").fetchall()
    assert found == [("broken",), ("habits",)]


def test_the_metrics_have_no_label_that_a_sender_chose(start: Start, live: Any, tmp_path: Path) -> None:
    """Every series exists from the start. Labels come from the served surveys and the closed lists of reasons."""
    process = start()
    before = process.metrics()
    assert before.pop("hushtally_can_count") == 1
    assert set(before.values()) == {0}
    assert len(before) == 1 + len(Reason) + len(Refused) + 4

    batch = live.batch(live.report(), live.report(), live.report(platform="canary"), live.report("canary"))
    for _ in range(2):
        assert post(process, batch)["accepted"] == 2
    refused = [b"canary", b" " * (MAX_BYTES + 1), replace(batch, survey="canary").encode()]
    assert [process.request("POST", "/v1/reports", body)[0] for body in refused] == [400, 413, 422]
    assert process.request("POST", "/v1/reports", b"{}", **{"Content-Type": "text/canary"})[0] == 415
    assert process.request("GET", "/v1/surveys/canary/1")[0] == 404
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
    assert process.request("POST", "/v1/reports", live.batch(live.report()).encode())[0] == 503
    lost = process.metrics()
    assert lost["hushtally_can_count"] == 0
    assert lost["hushtally_commits_failed_total"] == 1
    assert lost['hushtally_batches_refused_total{reason="unavailable"}'] == 1


def test_two_collectors_on_one_database_count_each_batch_exactly_once(start: Start, live: Any, tmp_path: Path) -> None:
    """Every batch is sent to both collectors, as can happen while one collector replaces the other."""
    processes = [start(), start()]
    waiting = [live.batch(live.report("affinity", number)) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        pairs = [(process, batch) for batch in waiting for process in processes]
        responses = list(pool.map(lambda pair: post(*pair), pairs))
    assert all(response["accepted"] == 1 for response in responses)
    assert [process.stop() for process in processes] == [STOPPED] * 2
    assert tally(tmp_path / "counts.db") == Counter(range(60))


def test_nothing_about_the_sender_is_stored_or_logged(start: Start, live: Any, tmp_path: Path) -> None:
    """No file and no log line contains the address, a header, the query or the body of a refused request."""
    process = start()
    headers = dict.fromkeys(("User-Agent", "X-Forwarded-For", "Cookie", "Referer", "X-Device"), "canary")
    body = live.batch(live.report()).encode()
    refused = json.dumps(json.loads(body) | {"canary": "canary"}).encode()
    assert process.request("POST", "/v1/reports?device=canary", body, **headers)[0] == 200
    assert process.request("POST", "/v1/reports", refused, **headers)[0] == 400
    assert process.request("POST", "/v1/reports", b"canary", **headers)[0] == 400
    assert process.request("GET", "/v1/surveys/canary/1", **headers)[0] == 404
    with closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)) as connection:
        connection.sendall(b"canary canary canary\r\n\r\n")
        assert b"application/problem+json" in connection.recv(10_000)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    code, printed = process.stop()
    refusals = "refused 1 request: The body is not a batch of reports (malformed)\nrefused 1 request: invalid HTTP\n"
    assert (code, printed) == (0, refusals + STOPPED[1])
    stored += b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    assert b"frequency" in stored
    assert b"canary" not in stored
    assert b"127.0.0.1" not in stored


def test_the_day_of_the_survey_is_in_utc(live: Any) -> None:
    """The processes use the machine's clock. A test that runs across midnight still finds the epoch open."""
    assert live.survey.runs(live.today + timedelta(days=1))
