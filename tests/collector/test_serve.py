"""The collector as a real process: signals, crashes, what it prints, what it leaves behind."""

from __future__ import annotations

import json
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
MUST_END = 120.0  # seconds, on a machine however slow
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


def test_a_new_database_is_said_to_be(start: Start, tmp_path: Path) -> None:
    """Whoever restored nothing by mistake sees it; and nobody else on the machine reads what is not published."""
    first = start()
    assert f"into the new database {tmp_path}/counts.db at" in first.said[-1]
    assert stat.filemode((tmp_path / "counts.db").stat().st_mode) == "-rw-------"
    first.stop(signal.SIGTERM)
    assert f"into {tmp_path}/counts.db at" in start().said[-1]


def refuses(port: int) -> bool:
    """Whether new connections are taken no more, at last."""
    until = monotonic() + MUST_END
    while monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), MUST_END).close()
        except (ConnectionRefusedError, ConnectionResetError):  # reset: it was in the backlog as that was closed
            return True
        sleep(0.05)
    return False


def test_a_request_that_has_begun_is_finished(start: Start, live: Any, tmp_path: Path) -> None:
    """A body still on its way when the signal comes is counted and answered; new connections are not taken."""
    process = start(grace=MUST_END)
    body = live.batch(live.report()).encode()
    fields = ("POST /v1/reports HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}")
    head = "\r\n".join((*fields, "", ""))
    with closing(socket.create_connection(("127.0.0.1", process.port), MUST_END)) as connection:
        connection.sendall(head.encode() + body[:20])
        while process.ask("GET", "/healthz")[0] != 200:
            pass
        process.popen.send_signal(signal.SIGTERM)
        assert refuses(process.port)
        connection.sendall(body[20:])
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    _, printed = process.popen.communicate(timeout=MUST_END)  # a second signal would end it at once
    assert (process.popen.returncode, printed) == STOPPED
    assert tally(tmp_path / "counts.db") == {0: 1}


def test_a_killed_collector_counts_what_it_acknowledged_once(start: Start, live: Any, tmp_path: Path) -> None:
    """Killed amid a concurrent load and restarted: each acknowledged batch is there; after retries, each batch once."""
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
    assert process.said[:-1] == [
        f"habits v1 has ended, its last reports were due by {last}: reports are refused,"
        f" and its last counts erased on {last + timedelta(days=31)}\n",
        f"habits v1: erased the counts of {begun}; the next counts are due on {last + timedelta(days=31)}\n",
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
    assert process.said[:-1] == [
        f"habits v2 is in the database but not served: its reports, due by {next_one.ends + timedelta(days=1)},"
        " are refused here until its file is named, too\n"
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
    assert process.said[:-1] == [
        f"old v1: erased the counts of {begun}; nothing is kept\n",
        "the counts of broken v1 could not be erased: its stored definition cannot be read; told once\n",
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
    assert len(before) == 1 + len(Reason) + len(Refused) + 3

    batch = live.batch(live.report(), live.report(), live.report(platform="canary"), live.report("canary"))
    for _ in range(2):
        assert post(process, batch)["accepted"] == 2
    refused = [b"canary", b" " * (MAX_BYTES + 1), replace(batch, survey="canary").encode()]
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
    with closing(socket.create_connection(("127.0.0.1", process.port), MUST_END)) as connection:
        connection.sendall(b"canary canary canary\r\n\r\n")
        assert b"application/problem+json" in connection.recv(10_000)
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    code, printed = process.stop()
    assert (code, printed) == STOPPED
    kept += b"".join(file.read_bytes() for file in tmp_path.glob("counts.db*"))
    assert b'{"accepted":1' in kept
    assert b"canary" not in kept
    assert b"127.0.0.1" not in kept


def test_the_day_of_the_survey_is_in_utc(live: Any) -> None:
    """The processes here run by the machine's clock; a test that crosses midnight still finds the epoch open."""
    assert live.survey.runs(live.today + timedelta(days=1))
