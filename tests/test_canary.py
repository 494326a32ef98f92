"""Canary values, which occur nowhere else, must not be found anywhere but on the device."""

import logging
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.device.embedding import Fault
from hushtally.client_sdk.errors import ClientError
from hushtally.survey.template import example

AMOUNT = 7_391_648_205.25
CATEGORY = "canary-category-Quetzalcoatlus"
CANARIES = [
    "canary-field",
    "canaryEvent",
    CATEGORY,
    "canary-device-Archaeopteryx",
    "7391648205",
    "7,391,648,205",
    "7.39165e+09",
]


class Capturing(HttpTransport):
    """The real transport; it records the requests and the responses."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = b""

    def request(self, method, url, body, timeout, max_bytes=65_536):
        answer = super().request(method, url, body, timeout, max_bytes)
        self.seen += url.encode() + (body or b"") + answer.body
        return answer


def run_devices(survey: Survey, url: str, folder: Path, transport: Capturing) -> list[object]:
    """Runs devices with canary values that answer over two weeks; returns everything that the app received."""
    received: list[object] = []
    for number in range(40):
        now = [datetime.now(UTC) - timedelta(days=7)]
        with Client(
            survey,
            collector=url,
            state=folder / "devices.db",
            device=f"canary-device-Archaeopteryx-{number}",
            cohort={"platform": "web"},
            clock=lambda now=now: now[0],
            transport=transport,
            on_error=received.append,
        ) as client:
            client.grant_consent()
            client.record("purchase", amount=AMOUNT, category=CATEGORY)
            client.record("purchase", amount=CATEGORY, category=9 * CATEGORY)
            client.record("purchase", **{"canary-field": AMOUNT})
            client.record("canaryEvent", amount=AMOUNT, **{"canary-field": CATEGORY})
            for _ in range(2):
                client.tick()
                now[0] += timedelta(days=6, hours=23)
                client.flush(20)
            status, explanation = client.status(), client.explain()
            assert status.waiting == 0
            received += [status, explanation, str(explanation), explanation.as_dict(), client.receipts()]
    return received


def run_failures(survey: Survey, url: str, folder: Path, transport: Capturing) -> list[object]:
    """Returns what an app receives for refused values, for a foreign state file, and for a file that is read-only."""
    received: list[object] = []
    (folder / "foreign.db").write_text(99 * CATEGORY)
    options = {"collector": url, "cohort": {"platform": "web"}, "transport": transport, "on_error": received.append}
    with Client(survey, state=folder / "foreign.db", **options) as client:
        received.append(client.status())
    with Client(survey, state=folder / "full.db", strict=True, durable=True, **options) as client:
        client.grant_consent()
        for unusable in ({"amount": CATEGORY}, {"amount": 1_000 * AMOUNT}, {"category": 9 * CATEGORY}):
            with pytest.raises(ClientError) as error:
                client.record("purchase", **unusable)
            received.append(str(error.value))
        with client._device._state.lock() as connection:
            connection.execute("PRAGMA query_only = ON")
        client.record("purchase", amount=AMOUNT, category=CATEGORY)
        client.tick()
        received.append(client.status())
    return received


def test_no_true_value_is_found_outside_the_device(tmp_path, caplog, capfd):
    """After a whole run, no recorded value is in the database, its log, the output of the server, or a request.

    No recorded value is in what the app received either: log records, faults, statuses, explanations, receipts, and
    printed output.
    """
    caplog.set_level(logging.DEBUG)
    text = re.sub("answers_every = 9", "answers_every = 1", example(date.today() - timedelta(days=21)))
    path = tmp_path / "survey.toml"
    path.write_text(text)
    survey = Survey.parse(text)
    database = tmp_path / "server" / "hushtally.db"
    database.parent.mkdir()
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [sys.executable, "-m", "hushtally", "serve", str(path), "--port", "0", "--database", str(database)]
        server = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            while not (ready := re.search(rb" at (http://\S+)", output.read_bytes())):
                assert server.poll() is None, output.read_text()
            transport = Capturing()
            received = run_devices(survey, ready[1].decode(), tmp_path, transport)
            received += run_failures(survey, ready[1].decode(), tmp_path, transport)
            stored = b"".join(file.read_bytes() for file in database.parent.iterdir())
        finally:
            server.terminate()
            assert server.wait(120) == 0
    stored += b"".join(file.read_bytes() for file in database.parent.iterdir())
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    printed = "".join(capfd.readouterr())
    assert b"Quetzalcoatlus" in (tmp_path / "devices.db").read_bytes(), "the devices stored nothing"
    assert transport.seen.count(b'"symbol"') >= 40
    assert {one.during for one in received if isinstance(one, Fault)} >= {"constructor", "record", "tick"}
    assert "field purchase.category must be" in logged
    for canary in CANARIES:
        assert canary.encode() not in stored + transport.seen + output.read_bytes()
        assert canary not in repr(received)
        assert canary not in logged
        assert canary not in printed
