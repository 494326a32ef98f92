"""Cases for deliveries: what waits in the outbox, what the server answers, and which random words are taken.

Every word in these cases is chosen, so that a pause is a known part of its maximum.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

SURVEY = """
id = "delivery"
version = 3
title = "Deliveries"
purpose = "To fix when a batch is sent."
owner = "vectors"
starts = 2026-11-02
ends = 2026-12-27
[privacy]
epsilon = 1.0
questions_per_device = 2
[cohorts]
platform = ["web", "ios"]
[signals]
orders = { count = "purchase", days = 30 }
[[questions]]
id = "frequency"
segments = [ { id = "none", when = "orders == 0" }, { id = "some" } ]
[[questions]]
id = "amount"
number = "orders"
edges = [0, 10]
"""
START = datetime(2026, 11, 4, 10, tzinfo=UTC)
Answer = dict[str, Any] | None


class Case(NamedTuple):
    """What happens, the words, the batches (id, epoch, due after START in seconds, number of reports), and the ticks.

    A tick is its time after START in seconds, and the answers that the server gives, in turn.
    """

    title: str
    words: list[str]
    batches: list[tuple[str, str, float, int]]
    ticks: list[tuple[float, list[Answer]]]


def moment(seconds: float) -> str:
    """A time after START, in milliseconds."""
    return (START + timedelta(milliseconds=round(seconds * 1000))).isoformat(timespec="milliseconds")


def part(thousandths: int) -> str:
    """A word that `below(1000)` turns into this number; from 1000 on, `below` takes another word."""
    return f"{thousandths << 54 | 0x2A:016x}"


def second(number: int, range_bits: int) -> str:
    """A word that `below` turns into this number, if the bound has this many bits."""
    return f"{number << (64 - range_bits):016x}"


def answer(status: int, body: Any, **headers: str) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return {
        "status": status,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "body": text,
    }


def counted(accepted: Any, *rejected: tuple[Any, Any, Any], **headers: str) -> dict[str, Any]:
    rows = [{"index": index, "reason": reason, "retryable": retryable} for index, reason, retryable in rejected]
    return answer(200, {"accepted": accepted, "rejected": rows}, **headers)


def problem(status: int, kind: str, **headers: str) -> dict[str, Any]:
    return answer(status, {"type": f"urn:hushtally:{kind}", "title": "Refused", "status": status}, **headers)


A, B, C = ("a" * 32, "b" * 32, "0" * 31 + "c")
NOW, LATER = "2026-W45", "2026-W46"
FINE = counted(1)
PORTAL = answer(200, "<!DOCTYPE html><title>Sign in</title>")
HALF, MOST, NONE = part(500), part(999), part(0)
DAY = 86_400


def once(title: str, *answers: Answer, words: tuple[str, ...] = (), reports: int = 1) -> Case:
    """One batch, and one tick that sends it."""
    return Case(title, list(words), [(A, NOW, 0, reports)], [(0, list(answers))])


def retried(title: str, given: Answer, wait: float = 1, *, words: tuple[str, ...] = (HALF,)) -> Case:
    """A batch that stays after an answer, and is sent again after a pause (in seconds), while another one is sent."""
    ticks: list[tuple[float, list[Answer]]] = [
        (0, [given, FINE]),
        (wait - 0.001, []),
        (wait + 0.001, [FINE]),
    ]
    return Case(title, list(words), [(A, NOW, 0, 1), (B, NOW, 0, 1)], ticks)


def paused(title: str, given: Answer, wait: float, *, words: tuple[str, ...] = (HALF, HALF)) -> Case:
    """Nothing is sent to the collector for a pause (in seconds). Then the batch comes first that did not fail."""
    ticks: list[tuple[float, list[Answer]]] = [
        (0, [given]),
        (wait - 0.001, []),
        (wait + 0.001, [FINE, FINE]),
    ]
    return Case(title, list(words), [(A, NOW, 0, 1), (B, NOW, 0, 1)], ticks)


def failures(number: int) -> Case:
    """So many attempts without an answer, one after the other. Every pause is 0.999 of its maximum."""
    ticks: list[tuple[float, list[Answer]]] = []
    time = 0.0
    for failed in range(1, number + 1):
        ticks.append((time, [None]))
        time = round(time + min(2**failed, 3_600) * 0.999, 3)
        ticks.append((time - 0.001, []))
        time += 0.001
    ticks.append((time, [FINE]))
    return Case("the pause doubles up to an hour", [MOST, MOST] * number, [(A, NOW, 0, 1)], ticks)


REQUEUED = second(70_000, 19)  # the epoch has 396,000 seconds left at START: 19 bits
CASES = [
    once("an accepted batch is settled", FINE),
    Case("a batch is sent from its moment on", [], [(A, NOW, 60, 1)], [(59.999, []), (60, [FINE])]),
    Case(
        "batches are sent in the order of their ids",
        [],
        [(B, LATER, 0, 1), (A, NOW, 0, 2), (C, NOW, 0, 1)],
        [(0, [FINE, counted(2), FINE])],
    ),
    Case(
        "a batch expires at the end of the epoch after its own, also during a pause",
        [MOST, MOST],
        [(A, NOW, 0, 2), (B, LATER, 0, 1)],
        [(12 * DAY - 10 * 3_600 - 0.001 - 1, [None]), (12 * DAY - 10 * 3_600, []), (12 * DAY, [FINE])],
    ),
    Case(
        "a batch is sent on the last day of the epoch after its own",
        [],
        [(A, NOW, 0, 1)],
        [(12 * DAY - 10 * 3_600 - 0.001, [FINE])],
    ),
    failures(14),
    paused("without an answer, everything waits", None, 1),
    paused("a number from 1000 on is drawn again", None, 1, words=(part(1_000), part(1_023), HALF, NONE)),
    paused("503: everything waits", problem(503, "unavailable"), 1),
    paused("503 without a problem document", answer(503, "busy"), 1),
    paused("503 with the type of a final refusal", problem(503, "malformed"), 1),
    paused("429: everything waits", answer(429, "slow down"), 1),
    paused("Retry-After is added to the pause", problem(503, "unavailable", Retry_After="120"), 121),
    paused("Retry-After 0", answer(429, "", Retry_After="0"), 1),
    paused("Retry-After counts up to a day", problem(503, "unavailable", Retry_After="86400"), DAY + 1),
    paused("Retry-After beyond a day counts as a day", problem(503, "unavailable", Retry_After="86401"), DAY + 1),
    paused("an unusable Retry-After", problem(503, "unavailable", Retry_After="soon"), 1),
    paused(
        "Retry-After as a date",
        problem(503, "unavailable", Retry_After="Wed, 04 Nov 2026 09:02:00 GMT", Date="Wed, 04 Nov 2026 09:00:30 GMT"),
        91,
    ),
    Case(
        "an answer of the collector ends the row of its failures, but not that of a batch",
        [HALF] * 7,
        [(A, NOW, 0, 1), (B, NOW, 60, 1)],
        [
            (0, [None]),
            (1.001, [None]),
            (3.002, [PORTAL]),
            (7.001, []),
            (7.003, [FINE]),
            (60, [None]),
            (60.999, []),
            (61.001, [FINE]),
        ],
    ),
    Case(
        "the pause of the failed batch goes on after that of the collector",
        [NONE, MOST],
        [(A, NOW, 0, 1), (B, NOW, 0, 1)],
        [(0, [None]), (0.001, [FINE]), (1.997, []), (1.999, [FINE])],
    ),
    *(
        retried(f"not from a collector: {title}", given)
        for title, given in (
            ("the page of a captive portal", PORTAL),
            ("an empty body", answer(200, "")),
            ("no content", answer(204, "")),
            ("JSON that is not an object", answer(200, "[]")),
            ("null", answer(200, "null")),
            ("other JSON", answer(200, {"status": "ok"})),
            ("no `rejected`", answer(200, {"accepted": 1})),
            ("no `accepted`", answer(200, {"rejected": []})),
            ("too few accepted", counted(0)),
            ("too many accepted", counted(2)),
            ("a number as a string", counted("1")),
            ("true for 1", counted(True)),
            ("a fraction", counted(1.0)),
            ("an index out of range", counted(0, (1, "epoch_closed", False))),
            ("a negative index", counted(0, (-1, "epoch_closed", False))),
            ("false for the index 0", counted(0, (False, "epoch_closed", False))),
            ("a row without a reason", answer(200, {"accepted": 0, "rejected": [{"index": 0, "retryable": False}]})),
            ("a row without `retryable`", answer(200, {"accepted": 0, "rejected": [{"index": 0, "reason": "x"}]})),
            ("a refusal with status 200", problem(200, "malformed")),
            ("more than 65,536 bytes", answer(200, json.dumps({"accepted": 1, "rejected": [], "x": "y" * 65_536}))),
            ("a redirect", answer(302, "", Location="https://elsewhere.example/v1/reports")),
            ("a permanent redirect", answer(308, "", Location="https://elsewhere.example/v1/reports")),
            ("400 without a type", answer(400, "<h1>Bad request</h1>")),
            ("400 with a type of another service", answer(400, {"type": "about:blank"})),
            ("401", answer(401, "")),
            ("404", answer(404, {"type": "urn:elsewhere:malformed"})),
            ("500", answer(500, "")),
            ("500 with the type of a final refusal", problem(500, "malformed")),
            ("502", answer(502, "<h1>Bad gateway</h1>")),
            ("504", answer(504, "")),
        )
    ),
    retried("422: the collector may not have the survey yet", problem(422, "unknown_survey")),
    retried("400 with a type that may be tried again", problem(400, "unavailable")),
    retried("Retry-After of a batch", problem(422, "unknown_survey", Retry_After="30"), 31),
    retried("Retry-After of a proxy", answer(502, "", Retry_After="30"), 31),
    once("a longer answer of at most 65,536 bytes", answer(200, '{"accepted":1,' + " " * 65_508 + '"rejected":[]}')),
    once("unknown fields of an answer are ignored", answer(200, {"accepted": 1, "rejected": [], "note": "hello"})),
    once("400 malformed is final", problem(400, "malformed"), reports=2),
    once("413 too_large is final", problem(413, "too_large")),
    once("415 unsupported_content is final", problem(415, "unsupported_content")),
    once("another status below 500 with a final type", problem(422, "malformed")),
    once("a rejected report is not sent again", counted(1, (1, "epoch_closed", False)), reports=2),
    once("an unknown reason is final, too", counted(0, (0, "tired", False))),
    once("only true is retryable", counted(0, (0, "epoch_not_open", "true"))),
    Case(
        "a retryable report is sent again in a new batch, at a random moment of the rest of the epoch",
        [REQUEUED, "0123456789abcdef", "00000000000000ff"],
        [(A, NOW, 0, 2)],
        [(0, [counted(1, (1, "epoch_not_open", True))]), (69_999.999, []), (70_000, [FINE])],
    ),
    Case(
        "retryable reports keep their order",
        [REQUEUED, "fedcba9876543210", "0000000000000000"],
        [(A, NOW, 0, 2)],
        [
            (0, [counted(0, (1, "epoch_not_open", True), (0, "epoch_not_open", True))]),
            (70_000, [counted(1, (0, "epoch_closed", False))]),
        ],
    ),
    Case(
        "the symbols of a retry are the same after any number of attempts",
        [HALF, HALF, HALF, HALF, HALF, HALF],
        [(A, NOW, 0, 2)],
        [(0, [PORTAL]), (1.001, [None]), (4, [problem(503, "unavailable")]), (12, [PORTAL]), (30, [counted(2)])],
    ),
]
RETRY_AFTER: list[tuple[dict[str, str], float]] = [
    ({}, 0),
    ({"Retry-After": "0"}, 0),
    ({"Retry-After": " 7 "}, 7),
    ({"Retry-After": "86400"}, 86_400),
    ({"Retry-After": "86401"}, 86_400),
    ({"Retry-After": "999999999999"}, 86_400),
    ({"Retry-After": "-5"}, 0),
    ({"Retry-After": "+5"}, 0),
    ({"Retry-After": "1.5"}, 0),
    ({"Retry-After": "1e3"}, 0),
    ({"Retry-After": "٣"}, 0),
    ({"Retry-After": ""}, 0),
    ({"Retry-After": "Wed, 04 Nov 2026 10:01:00 GMT", "Date": "Wed, 04 Nov 2026 10:00:00 GMT"}, 60),
    ({"Retry-After": "Wed, 04 Nov 2026 10:00:00 GMT", "Date": "Wed, 04 Nov 2026 10:01:00 GMT"}, 0),
    ({"Retry-After": "Fri, 06 Nov 2026 10:00:00 GMT", "Date": "Wed, 04 Nov 2026 10:00:00 GMT"}, 86_400),
    ({"Retry-After": "Wed, 04 Nov 1998 10:00:00 GMT"}, 0),
]


def body(digest: str, batch: str, epoch: str, reports: int) -> str:
    """A batch with this many reports, as canonical JSON."""
    rows = [
        {"cohort": {"platform": "web"}, "epoch": epoch, "question": id, "symbol": symbol}
        for id, symbol in (("amount", 2), ("frequency", 1))[:reports]
    ]
    table = {"batch": batch, "digest": digest, "reports": rows, "survey": "delivery", "version": 3}
    return json.dumps(table, separators=(",", ":"), sort_keys=True)
