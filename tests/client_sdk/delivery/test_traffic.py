"""Every byte that the SDK sends over the life of a survey. Only the fields of the contract occur."""

from __future__ import annotations

import getpass
import json
import locale
import logging
import platform
import re
import socket
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client, Survey, fetch_survey
from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.randomness import SystemRandomness
from hushtally.client_sdk.testing import ScriptedClock
from survey_builder import habits_text

CANARIES = ("canary", "Zanzibar", "81318131813.25", "81318131813", "quetzal", "kiosk-key-4711")

HEAD = re.compile(
    rb"POST /v1/reports HTTP/1\.1\r\n"
    rb"Host: 127\.0\.0\.1:\d+\r\n"
    rb"User-Agent: hushtally\r\n"
    rb"Accept-Encoding: identity\r\n"
    rb"Connection: close\r\n"
    rb"Content-Type: application/json\r\n"
    rb"Content-Length: \d+"
)


class UnreliableCollector:
    """Fails in a different way each time, and sets cookies. It counts one request in three."""

    def __init__(self, answer_of: Callable[..., bytes]) -> None:
        self.answer_of = answer_of
        self.asked = 0

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self.asked += 1
        if request.startswith(b"GET"):
            return
        cookie = "Set-Cookie: session=canary"
        reports = json.loads(request.partition(b"\r\n\r\n")[2])["reports"]
        again = [{"index": 0, "reason": "epoch_not_open", "retryable": True}]
        answers = [
            self.answer_of(b"", "503 Busy", "Retry-After: 1", cookie),
            self.answer_of(json.dumps({"accepted": len(reports), "rejected": []}).encode(), "200 OK", cookie),
            b"",
            self.answer_of(b"", "302 Found", "Location: /v1/reports?id=canary", cookie),
            self.answer_of(json.dumps({"accepted": len(reports) - 1, "rejected": again}).encode(), "200 OK", cookie),
            self.answer_of(b'{"type": "canary"}', "422 No", "WWW-Authenticate: Basic realm=canary"),
        ]
        connection.sendall(answers[self.asked % len(answers)])


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_every_request_contains_only_the_fields_of_the_contract(
    memory: str,
    make_survey: Callable[..., Survey],
    serve: Any,
    answer_of: Any,
    clock: ScriptedClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two customers with unique events, for 28 days, with two surveys, failures, a withdrawal and a restart.

    Every request has the fixed headers and a body with the fields of the contract.
    """
    caplog.set_level(logging.DEBUG)
    text = habits_text("habits", questions=3)
    if memory == "permanent":
        text = text.replace("[cohorts]", 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 2\n[cohorts]')
    surveys = [Survey.parse(text), make_survey("other", epoch="week", every=2)]
    server = serve(UnreliableCollector(answer_of))

    def client(key: str) -> Client:
        made = Client(
            surveys,
            collector=server.url,
            state=tmp_path / "canary-state.db",
            cohort={"platform": "ios"},
            device=key,
            clock=clock,
            randomness=SystemRandomness(),
            transport=HttpTransport(),
        )
        made.grant_consent()
        return made

    customers = [client("kiosk-key-4711"), client("canary 2")]
    for day in range(30):
        for one in customers:
            one.record("purchase", amount=81_318_131_813.25, category="Zanzibar")
            one.record("purchase", quetzal="canary")
            one.record("quetzal", canary=81_318_131_813)
            for hour in (9, 17, 23):
                clock.now = clock.now.replace(hour=hour, minute=59, second=59)
                one.tick()
        if day == 10:
            customers[0].withdraw_consent()
            customers[0].grant_consent()
        if day == 20:
            for one in customers:
                one.close()
            customers = [client("kiosk-key-4711"), client("canary 2")]
        clock.advance(days=1)
    for one in customers:
        one.close()

    everything = b"\n".join(server.requests)
    assert len(server.requests) > 60
    digests = {survey.digest: survey for survey in surveys}
    ids = Counter()
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert HEAD.fullmatch(head)
        table = json.loads(body)
        assert canonical_json(table).encode() == body
        assert set(table) == {"batch", "survey", "version", "digest", "reports"}
        assert re.fullmatch("[0-9a-f]{32}", table["batch"])
        survey = digests[table["digest"]]
        assert (table["survey"], table["version"]) == (survey.id, survey.version)
        ids[table["batch"]] += 1
        for report in table["reports"]:
            assert set(report) == {"question", "epoch", "cohort", "symbol"}
            assert report["cohort"] == {"platform": "ios"}
            survey.epoch.first_day(report["epoch"])
            assert report["symbol"] in range(survey.question(report["question"]).mechanism.symbols)
    assert max(ids.values()) > 1  # retries occurred, with the same bytes
    assert len(set(server.requests)) == len(ids)
    for canary in (*CANARIES, *machine()):
        assert canary.encode() not in everything, canary
    for canary in CANARIES:
        assert canary not in caplog.text


def machine() -> list[str]:
    """Facts about this machine, its user and its software that a request could reveal."""
    facts = [
        socket.gethostname(),
        platform.system(),
        platform.release(),
        platform.machine(),
        platform.python_version(),
        getpass.getuser(),
        "ython",
        "urllib",
        "Accept-Language",
        "Date",
        "Cookie",
        "Referer",
        "ETag",
        *filter(None, locale.getlocale()),
    ]
    return [fact for fact in facts if len(fact) > 3 or fact == "Date"]


def test_a_request_for_a_survey_is_exactly_these_bytes(serve: Any, survey: Survey, answer_of: Any) -> None:
    body = canonical_json({"survey": survey.resolved, "digest": survey.digest}).encode()
    server = serve(lambda connection, _: connection.sendall(answer_of(body)))
    fetch_survey(server.url, "habits", 1, digest=survey.digest)
    assert server.requests == [
        b"GET /v1/surveys/habits/1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"User-Agent: hushtally\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n" % server.port
    ]


def test_the_length_of_a_request_does_not_depend_on_recorded_events(
    serve: Any, make_client: Any, make_survey: Callable[..., Survey], answer_of: Any, counter: Any, tmp_path: Path
) -> None:
    """A busy and an idle customer: the lengths of their requests differ only by the digits of the symbols."""
    server = serve(counter)
    lengths: list[set[int]] = []
    for purchases in (0, 500):
        clock = ScriptedClock(datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC))
        client = make_client(
            make_survey(questions=3),
            collector=server.url,
            transport=HttpTransport(),
            clock=clock,
            state=tmp_path / str(purchases),
            randomness=SystemRandomness(),
        )
        seen = len(server.requests)
        for _ in range(14):
            for _ in range(purchases):
                client.record("purchase", amount=1.5, category="books")
            client.tick()
            clock.advance(days=1)
        requests = server.requests[seen:]
        assert len(requests) == 14
        lengths.append({len(re.sub(rb'"symbol":\d+', b"", request)) for request in requests})
    assert lengths[0] == lengths[1]
    assert len(lengths[0]) == 1
