"""A canary: values that occur nowhere else must not be found anywhere but on the device."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from client_sdk.transport import HttpTransport
from hushtally import Client, Survey
from hushtally.survey_cli import example

AMOUNT = 7_391_648_205.25
CANARIES = [
    b"canary-category-Quetzalcoatlus",
    b"canary-device-Archaeopteryx",
    b"canary-field",
    b"canaryEvent",
    b"7391648205",
]


class Capturing(HttpTransport):
    """The real transport, keeping what it sends and is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = b""

    def request(self, method, url, body, timeout, most=65_536):
        answer = super().request(method, url, body, timeout, most)
        self.seen += url.encode() + (body or b"") + answer.body
        return answer


def lives(survey: Survey, url: str, folder: Path, transport: Capturing) -> None:
    """Devices that did what nobody else does, and answer over two weeks."""
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
        ) as client:
            client.grant_consent()
            client.record("purchase", amount=AMOUNT, category="canary-category-Quetzalcoatlus")
            client.record("purchase", **{"canary-field": 1})
            client.record("canaryEvent")
            for _ in range(2):
                client.tick()
                now[0] += timedelta(days=6, hours=23)
                client.flush(20)
            assert str(client.explain())
            assert client.status().waiting == 0


def test_no_true_value_is_found_outside_the_device(tmp_path):
    """After a whole run neither the database, its log, the server's output nor any request holds a recorded value."""
    text = re.sub("answers_every = 4", "answers_every = 1", example(date.today() - timedelta(days=21)))
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
            lives(survey, ready[1].decode(), tmp_path, transport)
            held = b"".join(file.read_bytes() for file in database.parent.iterdir())
        finally:
            server.terminate()
            assert server.wait(20) == 0
    held += b"".join(file.read_bytes() for file in database.parent.iterdir())
    assert b"Quetzalcoatlus" in (tmp_path / "devices.db").read_bytes(), "the devices kept nothing: the test is blind"
    assert transport.seen.count(b'"symbol"') >= 40
    for canary in CANARIES:
        assert canary not in held
        assert canary not in transport.seen
        assert canary not in output.read_bytes()
