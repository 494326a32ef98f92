"""Cases for questions: events, and the segments that follow. Written by hand, not computed by the shipped code."""

from __future__ import annotations

from itertools import product
from typing import Any

from odd_values import INFINITY

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
