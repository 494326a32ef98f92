"""Cases for questions: events, and the segments that follow. Written by hand, not computed by the shipped code."""

from __future__ import annotations

from itertools import product
from typing import Any

from odd_values import COMPOSED, DECOMPOSED, INFINITY

EDGES_OF_LANGUAGES = """
id = "languages"
version = 1
title = "Where languages differ"
purpose = "To fix what becomes of unusual values."
owner = "vectors"
starts = 2026-11-02
ends = 2027-05-02
[privacy]
epsilon = 1.0

[signals]
idle = { days_since = "visit", days = 30 }
constructor = { count = "visit", days = 30 }
taste = { top = "visit.taste", days = 30 }
level = { sum = "visit.level", days = 30 }

[[questions]]
id = "idle"
number = "idle * 2"
edges = [0, 7, 1e15]
otherwise = "never"

[[questions]]
id = "inverse"
number = "-1 / idle"
edges = [-1, -0.25, 0]

[[questions]]
id = "taste"
one_of = "taste"
categories = ["\u00e9t\u00e9", "e\u0301te\u0301", "__proto__", "books", "1e+15"]

[[questions]]
id = "level"
number = "level % 3 - constructor"
edges = [-0.5, 1e-7, 0.1, 100000000000.0625]

[[questions]]
id = "word"
segments = [
  { id = "null", when = "taste != 'a' and taste not in ['a', 'b'] and idle > 1000" },
  { id = "long", when = "len(taste) > 5 or taste == 'books'" },
]
"""
BEFORE, TODAY, AFTER = "2026-11-23", "2026-11-24", "2026-11-25"
SURVEY = """
id = "answers"
version = 1
title = "Answers"
purpose = "To fix what becomes of what was recorded."
owner = "vectors"
starts = 2026-11-02
ends = 2027-05-02
[privacy]
epsilon = 1.0

[signals]
orders = { count = "purchase", days = 30 }
spend = { sum = "purchase.amount", days = 30 }
idle = { days_since = "purchase", days = 365 }
favourite = { top = "purchase.category", days = 30 }
kinds = { distinct = "purchase.category", days = 30 }
balance = { sum = "transfer.amount", days = 30 }

[[questions]]
id = "frequency"
segments = [
  { id = "none", when = "orders == 0" },
  { id = "once", when = "orders == 1" },
  { id = "regular", when = "1 <= orders <= 4" },
]

[[questions]]
id = "returned"
segments = [ { id = "yes", when = "idle < 30" }, { id = "no" } ]

[[questions]]
id = "taste"
segments = [
  { id = "loyal", when = "kinds == 1 and orders > 2" },
  { id = "varied", when = "kinds / orders > 0.5" },
  { id = "rest" },
]

[[questions]]
id = "affinity"
one_of = "favourite"
categories = ["books", "music", "7"]

[[questions]]
id = "basket"
number = "spend / orders"
edges = [0, 20, 50]
otherwise = "none"

[[questions]]
id = "balance"
number = "balance"
edges = [-10, 0, 0.1, 10]

[[questions]]
id = "pair"
cross = ["frequency", "affinity"]

[[questions]]
id = "triple"
cross = ["returned", "taste", "affinity"]
"""
SEGMENTS = {
    "frequency": ["none", "once", "regular", "other"],
    "returned": ["yes", "no"],
    "taste": ["loyal", "varied", "rest"],
    "affinity": ["books", "music", "7", "other"],
    "basket": ["0-20", "20-50", "50+", "none"],
    "balance": ["-10-0", "0-0.1", "0.1-10", "10+", "other"],
}
SEGMENTS |= {
    name: [" & ".join(parts) for parts in product(*map(SEGMENTS.__getitem__, crossed))]
    for name, crossed in {"pair": ("frequency", "affinity"), "triple": ("returned", "taste", "affinity")}.items()
}


def purchase(day: str, amount: Any = None, category: Any = None) -> list[Any]:
    fields = {"amount": amount, "category": category}
    return [day, "purchase", {name: value for name, value in fields.items() if value is not None}]


def transfer(*amounts: float) -> list[list[Any]]:
    return [[TODAY, "transfer", {"amount": amount}] for amount in amounts]


SIGNAL_NAMES = ("orders", "spend", "idle", "favourite", "kinds", "balance")
NOTHING = (0, 0, INFINITY, None, 0)

# events, the signals on 2026-11-24, and the segment of every question
ANSWERS: list[tuple[list[Any], tuple[Any, ...], tuple[str, ...]]] = [
    (
        [],
        (*NOTHING, 0),
        ("none", "no", "rest", "other", "none", "0-0.1", "none & other", "no & rest & other"),
    ),
    (
        [purchase(TODAY, 20, "books")],
        (1, 20, 0, "books", 1, 0),
        ("once", "yes", "varied", "books", "20-50", "0-0.1", "once & books", "yes & varied & books"),
    ),
    (
        [purchase("2026-10-25", 1000, "books"), purchase("2026-10-26", 50, "music")],
        (1, 50, 29, "music", 1, 0),
        ("once", "yes", "varied", "music", "50+", "0-0.1", "once & music", "yes & varied & music"),
    ),
    (
        [purchase("2026-10-25", 1000, "books")],
        (0, 0, 30, None, 0, 0),
        ("none", "no", "rest", "other", "none", "0-0.1", "none & other", "no & rest & other"),
    ),
    (
        [
            purchase(TODAY, 5, "books"),
            purchase(TODAY, None, "music"),
            purchase(TODAY, -30, "7"),
            purchase(TODAY, 5.5, 7),
            purchase(TODAY),
        ],
        (5, -19.5, 0, "7", 3, 0),
        ("other", "yes", "varied", "7", "none", "0-0.1", "other & 7", "yes & varied & 7"),
    ),
    (
        [purchase(BEFORE, 19.99, "other"), purchase(BEFORE, 20, "other"), purchase(BEFORE, 19.99, "other")],
        (3, 59.98, 1, "other", 1, 0),
        ("regular", "yes", "loyal", "other", "0-20", "0-0.1", "regular & other", "yes & loyal & other"),
    ),
    (
        [purchase(TODAY, 20, "Books"), purchase(AFTER, 90, "books"), purchase(AFTER, 90, "books")],
        (1, 20, 0, "Books", 1, 0),
        ("once", "yes", "varied", "other", "20-50", "0-0.1", "once & other", "yes & varied & other"),
    ),
    *(
        (
            transfer(*amounts),
            (*NOTHING, balance),
            ("none", "no", "rest", "other", "none", segment, "none & other", "no & rest & other"),
        )
        for amounts, balance, segment in (
            ([-10], -10, "-10-0"),
            ([-10, -0.001], -10.001, "other"),
            ([-1e-9], -1e-9, "-10-0"),
            ([-0.0], 0, "0-0.1"),
            ([0.1], 0.1, "0.1-10"),
            ([0.3, -0.2], 0.09999999999999998, "0-0.1"),
            ([0.1] * 100, 10, "10+"),
            ([1e12], 1e12, "10+"),
        )
    ),
]

LANGUAGE_SEGMENTS = {
    "idle": ["0-7", "7-1e+15", "1e+15+", "never"],
    "inverse": ["-1--0.25", "-0.25-0", "0+", "other"],
    "taste": [COMPOSED, DECOMPOSED, "__proto__", "books", "1e+15", "other"],
    "level": ["-0.5-1e-07", "1e-07-0.1", "0.1-100000000000.062", "100000000000.062+", "other"],
    "word": ["null", "long", "other"],
}
LANGUAGE_SIGNALS = ("idle", "constructor", "taste", "level")


def visit(day: str, taste: Any = None, level: Any = None) -> list[Any]:
    fields = {"taste": taste, "level": level}
    return [day, "visit", {name: value for name, value in fields.items() if value is not None}]


# events, the signals on 2026-11-24, and the segment of every question
LANGUAGE_ANSWERS: list[tuple[list[Any], tuple[Any, ...], tuple[str, ...]]] = [
    ([], (INFINITY, 0, None, 0), ("1e+15+", "0+", "other", "-0.5-1e-07", "null")),
    *(
        ([visit(TODAY, taste)], (0, 1, found, 0), ("0-7", "other", segment, "other", word))
        for taste, found, segment, word in (
            (COMPOSED, COMPOSED, COMPOSED, "other"),
            (DECOMPOSED, DECOMPOSED, DECOMPOSED, "other"),
            ("__proto__", "__proto__", "__proto__", "long"),
            ("constructor", "constructor", "other", "long"),
            ("toString", "toString", "other", "long"),
            ("hasOwnProperty", "hasOwnProperty", "other", "long"),
            ("books", "books", "books", "long"),
            (" books", " books", "other", "long"),
            ("books ", "books ", "other", "long"),
            ("Books", "Books", "other", "other"),
            ("\uff42ooks", "\uff42ooks", "other", "other"),
            ("", "", "other", "other"),
            ("1e15", "1e15", "other", "other"),
            (1e12, "1000000000000", "other", "long"),
        )
    ),
    (
        [visit("2026-11-20", None, 1.1), visit(BEFORE)],
        (1, 2, None, 1.1),
        ("0-7", "-1--0.25", "other", "other", "other"),
    ),
    (
        [visit("2026-11-20", None, 4.1)],
        (4, 1, None, 4.1),
        ("7-1e+15", "-0.25-0", "other", "1e-07-0.1", "other"),
    ),
    ([visit("2026-11-20", None, 1)], (4, 1, None, 1), ("7-1e+15", "-0.25-0", "other", "-0.5-1e-07", "other")),
]
