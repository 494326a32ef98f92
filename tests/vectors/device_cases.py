"""Cases for whole devices: a survey, what happens to the device, and what the server answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from delivery_cases import Answer, answer, counted, problem

EVERYTHING = """
id = "everything"
version = 2
title = "Every form of question"
purpose = "To fix what a device sends."
owner = "vectors"
starts = 2026-11-02
ends = 2026-11-29
epoch = "{epoch}"
[privacy]
epsilon = 1.5
{privacy}
[cohorts]
platform = ["web", "ios"]
plan = ["free", "été"]
[signals]
orders = {{ count = "purchase", days = 30 }}
spend = {{ sum = "purchase.amount", days = 7 }}
idle = {{ days_since = "purchase", days = 365 }}
favourite = {{ top = "purchase.category", days = 30 }}
kinds = {{ distinct = "purchase.category", days = 30 }}
constructor = {{ count = "toString", days = 1 }}

[[questions]]
id = "zebra"
segments = [
  {{ id = "idle", when = "idle > 3 or constructor == 1" }},
  {{ id = "varied", when = "kinds / orders > 0.5 and not favourite == 'music'" }},
]
[[questions]]
id = "affinity"
one_of = "favourite"
categories = ["books", "music", "7", "__proto__"]
{affinity}
[[questions]]
id = "basket"
number = "spend / orders"
edges = [0, 10.5, 20, 1e6]
otherwise = "none"
epsilon = 0.75
{basket}
[[questions]]
id = "pair"
cross = ["zebra", "affinity"]
"""
PERMANENT = """
id = "permanent"
version = 1
title = "Permanent memory"
purpose = "To fix what a device repeats."
owner = "vectors"
starts = 2026-11-02
ends = 2026-11-15
epoch = "day"
[privacy]
epsilon = 1.0
questions_per_device = {questions}
memory = "permanent"
epsilon_permanent = 2.2
changes = {changes}
[signals]
favourite = {{ top = "purchase.category", days = 1 }}
[[questions]]
id = "favourite"
one_of = "favourite"
categories = ["a", "b", "c"]
mechanism = {mechanism}
[[questions]]
id = "any"
segments = [ {{ id = "no", when = "favourite not in ['a', 'b', 'c']" }}, {{ id = "yes" }} ]
"""
RAPPOR = '{ name = "rappor", k = 8, h = 2, m = 4, f = 0.75, p = 0.26, q = 0.74 }'
WEB = {"platform": "web", "plan": "free"}

Step = dict[str, Any]


class Case(NamedTuple):
    """What the case shows, the survey, the device's cohort, and the steps. A tick lists the answers that it gets."""

    title: str
    toml: str
    cohort: dict[str, str]
    steps: list[Step]


def everything(privacy: str = "", epoch: str = "week", affinity: str = "", basket: str = "") -> str:
    return EVERYTHING.format(privacy=privacy, epoch=epoch, affinity=affinity, basket=basket)


def permanent(changes: int, mechanism: str = '"auto"', questions: int = 1) -> str:
    return PERMANENT.format(changes=changes, mechanism=mechanism, questions=questions)


def consent(at: str) -> Step:
    return {"at": f"2026-{at}Z", "consent": True}


def withdraw(at: str) -> Step:
    return {"at": f"2026-{at}Z", "consent": False}


def tick(at: str, *answers: Answer) -> Step:
    """Without answers, every report counts."""
    return {"at": f"2026-{at}Z", "tick": list(answers)}


def event(at: str, name: str = "purchase", /, *, times: int = 1, **fields: Any) -> Step:
    step: Step = {"at": f"2026-{at}Z", "record": [name, fields]}
    return step if times == 1 else step | {"times": times}


def daily(categories: str) -> list[Step]:
    """One purchase and one tick a day from 2 November on; "-" is a day without a purchase."""
    steps: list[Step] = [consent("11-02T00:00:00")]
    for number, category in enumerate(categories, 2):
        if category != "-":
            steps.append(event(f"11-{number:02}T08:00:00", category=category))
        steps.append(tick(f"11-{number:02}T09:00:00"))
    return [*steps, tick("11-14T00:00:00")]


ALL = "questions_per_device = 4"
SHOPPING = [
    event("11-03T09:00:00", amount=19.9, category="books"),
    event("11-04T09:00:00", amount=5, category="music"),
    event("11-04T10:00:00", amount=0.1, category="books"),
]
CASES = [
    Case("a device without events answers, too", everything(), WEB, [consent("11-02T09:00:00"), tick("11-02T10:00:00"),
         tick("11-09T00:00:00")]),
    Case(
        "all questions of an epoch are one batch, in the order of their ids",
        everything(ALL),
        {"platform": "ios", "plan": "été"},
        [consent("11-02T09:00:00"), *SHOPPING, tick("11-05T12:00:00"), tick("11-09T00:00:00"), tick("11-16T00:00:00")],
    ),
    Case(
        "mechanisms that are chosen by name",
        everything(ALL, affinity='mechanism = { name = "subset", w = 2 }', basket='mechanism = "oue"'),
        WEB,
        [consent("11-02T09:00:00"), *SHOPPING, tick("11-05T12:00:00"), tick("11-09T00:00:00")],
    ),
    Case(
        "the phase decides in which epochs a device answers",
        everything("answers_every = 3", epoch="day"),
        WEB,
        [consent("11-02T09:00:00"), *(tick(f"11-{day:02}T12:00:00") for day in range(2, 13))],
    ),
    Case(
        "events before consent, of other kinds, and unusable fields are not stored",
        everything(ALL),
        WEB,
        [
            event("11-02T07:00:00", amount=500, category="music"),
            consent("11-02T08:00:00"),
            event("11-02T09:00:00", "visit", amount=3),
            event("11-02T09:00:00", amount="12", category="books", name="Ada"),
            event("11-02T09:00:00", amount=True, category="x" * 101),
            event("11-02T09:00:00", amount=1e12, category=7.0),
            event("11-02T09:00:00", amount=1_000_000_000_001, category=7),
            tick("11-02T10:00:00"),
            tick("11-09T00:00:00"),
        ],
    ),
    Case(
        "names that objects of some languages have",
        everything(ALL),
        WEB,
        [
            consent("11-02T08:00:00"),
            event("11-02T09:00:00", category="constructor"),
            event("11-02T09:00:00", category="__proto__"),
            event("11-02T09:00:00", category="__proto__"),
            event("11-02T09:00:00", category="hasOwnProperty"),
            event("11-02T09:00:00", "toString"),
            event("11-02T09:00:00", "valueOf", category="books"),
            tick("11-02T10:00:00"),
            tick("11-09T00:00:00"),
        ],
    ),
    Case(
        "days and epochs are those of UTC",
        everything(ALL, epoch="day"),
        WEB,
        [
            consent("11-03T23:00:00"),
            event("11-03T23:59:59", "toString"),
            event("11-03T23:59:59", amount=3),
            tick("11-04T00:00:01"),
            event("11-05T00:00:00", "toString"),
            tick("11-05T00:00:01"),
            tick("11-05T23:59:59"),
            tick("11-06T00:00:00"),
            tick("11-07T00:00:00"),
        ],
    ),
    Case(
        "an epoch is answered once, also if the clock is set back",
        everything(epoch="day"),
        WEB,
        [
            consent("11-03T08:00:00"),
            tick("11-03T09:00:00"),
            tick("11-03T10:00:00"),
            tick("11-05T09:00:00"),
            tick("11-04T09:00:00"),
            tick("11-05T10:00:00"),
            tick("11-06T00:00:00"),
        ],
    ),
    Case(
        "before and after the survey a device does not answer, but it sends what waits",
        everything(ALL),
        WEB,
        [
            consent("10-30T08:00:00"),
            event("10-31T08:00:00", amount=12, category="music"),
            tick("11-01T23:59:59"),
            tick("11-02T00:00:00"),
            event("11-29T21:00:00", amount=30, category="7"),
            tick("11-29T22:00:00"),
            event("11-30T08:00:00", amount=90, category="7"),
            tick("11-30T08:00:00", None),
            tick("12-06T23:59:59", problem(503, "unavailable")),
            tick("12-07T00:00:00"),
        ],
    ),
    Case(
        "a retry sends the same bytes, and a new epoch a new batch",
        everything(ALL, epoch="day"),
        WEB,
        [
            consent("11-03T00:00:00"),
            event("11-03T08:00:00", amount=3, category="books"),
            tick("11-03T09:00:00"),
            event("11-03T10:00:00", amount=300, category="music"),
            tick("11-04T00:00:00", None),
            event("11-04T08:00:00", amount=5000, category="music"),
            tick("11-04T12:00:00", answer(200, "<html>")),
            tick("11-04T23:59:59", counted(4)),
            tick("11-05T12:00:00"),
        ],
    ),
    Case(
        "a retryable report is sent again with the same symbol",
        everything(ALL),
        WEB,
        [
            consent("11-02T00:00:00"),
            tick("11-02T09:00:00"),
            event("11-02T10:00:00", amount=3, category="books"),
            tick("11-08T23:59:00", counted(3, (2, "epoch_not_open", True))),
            tick("11-09T12:00:00"),
        ],
    ),
    Case(
        "a withdrawal erases events and waiting batches, and not which epochs were handled",
        everything(ALL),
        WEB,
        [
            consent("11-02T00:00:00"),
            *SHOPPING,
            tick("11-05T09:00:00"),
            withdraw("11-05T10:00:00"),
            event("11-05T11:00:00", amount=7, category="7"),
            tick("11-06T09:00:00"),
            consent("11-07T09:00:00"),
            tick("11-07T10:00:00"),
            event("11-08T11:00:00", amount=8, category="7"),
            tick("11-09T00:00:00"),
            tick("11-16T00:00:00"),
        ],
    ),
    Case(
        "without consent nothing is answered and nothing is sent",
        everything(ALL),
        WEB,
        [event("11-02T00:00:00", amount=3), tick("11-03T09:00:00"), withdraw("11-03T10:00:00"), tick("11-09T09:00:00")],
    ),
    Case(
        "a question that is only crossed is not answered",
        everything("questions_per_device = 3").replace('id = "zebra"', 'id = "zebra"\nonly_crossed = true'),
        WEB,
        [consent("11-02T00:00:00"), *SHOPPING, tick("11-05T09:00:00"), tick("11-09T00:00:00")],
    ),
    Case("permanent memory without a change", permanent(0), {}, daily("aa-ba")),
    Case("permanent memory with one change", permanent(1), {}, daily("abcacb")),
    Case("permanent memory with two questions", permanent(2, questions=2), {}, daily("ab-cab")),
    Case("permanent memory of rappor keeps its hash group", permanent(1, RAPPOR), {}, daily("abcacb-a")),
    Case(
        "after a withdrawal, permanent memory is silent for good",
        permanent(3),
        {},
        [*daily("ab")[:5], withdraw("11-03T12:00:00"), consent("11-04T00:00:00"), tick("11-04T09:00:00"),
         tick("11-05T09:00:00")],
    ),
    *(
        Case(
            f"a device stores the last 10,000 events of each name, no {other}",
            everything(ALL),
            WEB,
            [
                consent("11-02T00:00:00"),
                event("11-02T09:00:00", category="music", times=4_000),
                event("11-02T09:00:00", "toString"),
                event("11-02T09:00:00", category="books", times=books),
                event("11-02T09:00:00", category="7", times=6_500 - books),
                tick("11-02T10:00:00"),
                tick("11-09T00:00:00"),
            ],
        )
        for books, other in ((3_500, "more"), (3_499, "fewer"))
    ),
]  # fmt: skip
