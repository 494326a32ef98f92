"""What the SDK costs apart from answers: the import, the choice of a mechanism, a request, many devices in one file.

    python benchmarks/sdk.py                     all parts; the part "devices" takes several minutes
    python benchmarks/sdk.py import choice       some parts: import, choice, request, devices
    python benchmarks/sdk.py devices 10000       10,000 devices instead of 100,000

Each part alternates with what it is compared with. The figures are medians. For "devices" they are means, because all
devices share the cost of an occasional checkpoint.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from hushtally import Client, Survey
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.mechanisms import build
from hushtally.survey.template import example

ROOT = Path(__file__).resolve().parents[1]
MOST_IMPORT = 0.060  # seconds
MOST_MEMORY = 200.0  # MB
MOST_CHOICE = 0.020  # seconds: reading a survey takes tens of choices, `tune` takes hundreds
MOST_RATIO = 4.0

SERVER = r"""
import socket
listening = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listening.getsockname()[1], flush=True)
body = b'{"accepted":1,"rejected":[]}'
answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
while True:
    connection, _ = listening.accept()
    data = b""
    while not data.endswith(b"}]}"):
        data += connection.recv(65536)
    connection.sendall(answer)
    connection.close()
"""


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def verdict(value: float, most: float, unit: str = "") -> str:
    return f"at most {most:g}{unit}: {'met' if value <= most else 'MISSED'}"


def importing(rounds: int = 25) -> None:
    """Processor time of importing the SDK, above that of a plain interpreter; from bytecode, as after installation."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def run(code: str) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        run("import hushtally")
        over = median(run("import hushtally") - run("pass") for _ in range(rounds))
    print(f"import above plain Python {1e3 * over:10.1f} ms   {verdict(1e3 * over, 1e3 * MOST_IMPORT, ' ms')}")


def choice(rounds: int = 51) -> None:
    """The automatic choice compared with the same mechanism named by hand, at a new epsilon each time."""

    def pair(domain: int, epsilon: float) -> tuple[float, float]:
        best = build("auto", {}, domain, epsilon)
        automatic = seconds_of(lambda: build("auto", {}, domain, epsilon + 1e-7))
        return automatic, seconds_of(lambda: build(best.name, dict(best.parameters), domain, epsilon + 2e-7))

    pair(2, 0.3)  # the first call computes the primes
    for domain in (16, 64, 1_024, 65_536):
        pairs = [pair(domain, 0.7654321 + 1e-6 * number) for number in range(rounds)]
        chosen, named = (median(side) for side in zip(*pairs, strict=True))
        print(
            f"choice of {domain:6,} values {1e3 * chosen:9.2f} ms   {verdict(1e3 * chosen, 1e3 * MOST_CHOICE, ' ms')};"
            f" named by hand {1e3 * named:.2f} ms, ratio {chosen / named:.1f}"
        )


def requests(rounds: int = 400) -> None:
    """A request of the SDK compared with a request of urllib, both to a server in another process."""
    body = b'{"batch":"0","reports":[{"symbol":1}]}'
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1/reports"
        transport = HttpTransport()

        def ours() -> None:
            assert transport.request("POST", url, body, 10.0).status == 200

        def bare() -> None:
            asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                answer.read()

        ours(), bare()
        pairs = [(seconds_of(ours), seconds_of(bare)) for _ in range(rounds)]
        server.kill()
    sdk, urllib_ = (median(side) for side in zip(*pairs, strict=True))
    print(f"request                   {1e6 * sdk:8.0f} us   urllib {1e6 * urllib_:.0f} us, ratio {sdk / urllib_:.2f}")


class UnusedTransport:
    """A transport that fails if it is used: no batch is due yet."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0) -> Response:
        raise AssertionError("no batch is due")


def devices(number: int = 100_000) -> None:
    """Many devices in one state file: each is opened, ticks once, which creates an answer, and is closed."""
    folder = Path(tempfile.mkdtemp(dir=".", prefix="sdk-benchmark-"))
    try:
        first = [sys.executable, __file__, "agreeing", str(number), str(folder)]
        subprocess.run(first, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        second = [sys.executable, __file__, "ticking", str(number), str(folder)]
        subprocess.run(second, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    finally:
        shutil.rmtree(folder)


def opener(folder: Path) -> Callable[[int], Client]:
    """A function that opens the device with a given number; each device answers every week."""
    text = re.sub("answers_every = 9", "answers_every = 1", example(utc_today()))
    survey = Survey.parse(text)
    transport = UnusedTransport()

    def open_(number: int) -> Client:
        return Client(
            survey,
            collector="https://tally.example",
            state=folder / "state.db",
            device=f"customer {number}",
            cohort={"platform": "web"},
            transport=transport,
        )

    return open_


def agreeing(number: int, folder: Path) -> None:
    """First contact: every device is new and gives consent."""
    open_ = opener(folder)
    kept = open_(0)

    def agree(device: int) -> None:
        with open_(device) as client:
            client.grant_consent()

    times = [seconds_of(lambda device=device: agree(device)) for device in range(number)]  # type: ignore[misc]
    kept.close()
    print(f"first contact and consent {1e6 * mean(times):8.0f} us   a device (median {1e6 * median(times):.0f})")


def ticking(number: int, folder: Path) -> None:
    """Opens, ticks and closes every device, alternating with a plain transaction of the same size and settings."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE outbox(body)")
    open_ = opener(folder)
    kept = open_(0)  # a kiosk keeps one client open, so that all clients share a connection

    def transaction() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO outbox VALUES (?)", ("x" * 350,))
        bare.execute("COMMIT")

    def tick(device: int) -> None:
        with open_(device) as client:
            client.tick()

    ours, theirs = [], []
    for device in range(number):
        theirs.append(seconds_of(transaction))
        ours.append(seconds_of(lambda device=device: tick(device)))  # type: ignore[misc]
    kept.close()
    with sqlite3.connect(folder / "state.db") as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (number,)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ratio, of_medians = mean(ours) / mean(theirs), median(ours) / median(theirs)
    size = (folder / "state.db").stat().st_size / 1e6
    print(f"{number:,} devices, {size:.0f} MB on disk")
    print(
        f"open, tick and close      {1e6 * mean(ours):8.0f} us   a device; one transaction {1e6 * mean(theirs):.0f} us"
    )
    print(f"ratio                     {ratio:8.2f}      {verdict(ratio, MOST_RATIO)}; of medians {of_medians:.2f}")
    print(f"memory                    {memory:8.0f} MB   {verdict(memory, MOST_MEMORY, ' MB')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args().parts
    match arguments:
        case ["agreeing" | "ticking" as part, number, folder]:
            {"agreeing": agreeing, "ticking": ticking}[part](int(number), Path(folder))
            return
        case ["devices", number]:
            devices(int(number))
            return
    parts: dict[str, Callable[[], None]] = {
        "import": importing,
        "choice": choice,
        "request": requests,
        "devices": devices,
    }
    if unknown := set(arguments) - parts.keys():
        parser.error(f"PART must be one of {', '.join(parts)} (got {', '.join(sorted(unknown))})")
    for part in arguments or parts:
        parts[part]()


if __name__ == "__main__":
    main()
