"""What signals, rules and questions make of recorded events: written by hand, never computed by the code that ships.

generate.py writes them down as JSON; README.md says what they mean and why the odd ones are as they are.
"""

from __future__ import annotations

from itertools import product
from typing import Any

NUMBER, TEXT, TRUTH = "number", "text", "truth"  # what a signal or a rule yields
INFINITY = "infinity"  # JSON has no word for it
COMPOSED, DECOMPOSED = "\u00e9t\u00e9", "e\u0301te\u0301"  # look alike, are two texts
NOTE = "\U0001f3b5"  # one character, two UTF-16 units, four bytes

# value, and as what it is kept; "decimal" stands for a number of any type that a program has beside its doubles
RECORDED: list[tuple[Any, Any]] = [
    (7, 7),
    (24.9, 24.9),
    (-3, -3),
    (10**12, 10**12),
    (-(10**12), -(10**12)),
    (10**12 + 1, None),
    (-1.5e12, None),
    ("", ""),
    (" Books ", " Books "),
    ("x" * 100, "x" * 100),
    ("x" * 101, None),
    (NOTE * 100, NOTE * 100),
    (NOTE * 101, None),
    (True, None),
    (False, None),
    (None, None),
    ([1], None),
    ({"a": 1}, None),
    ({"decimal": "19.90"}, 19.9),
    ({"decimal": "0.1000000000000000055511151231257828"}, 0.1),
    ({"decimal": "1e-400"}, 0),
    ({"decimal": "1e400"}, None),
    ({"decimal": "NaN"}, None),
    ({"decimal": "-Infinity"}, None),
]


def on(day: str, *values: Any, name: str = "e") -> list[list[Any]]:
    """Events of one day whose field `f` holds these values."""
    return [[day, name, {"f": value}] for value in values]


BEFORE, TODAY, AFTER = "2026-11-23", "2026-11-24", "2026-11-25"
LEAP = "2028-03-01"

# signal, today, events in the order in which they were recorded, the signal's value
SIGNALS: list[tuple[dict[str, Any], str, list[Any], Any]] = [
    ({"count": "e", "days": 7}, TODAY, [], 0),
    ({"count": "e", "days": 7}, TODAY, on("2026-11-17", 1) + on("2026-11-18", 1), 1),
    ({"count": "e", "days": 7}, TODAY, on(TODAY, 1) + on(AFTER, 1), 1),
    ({"count": "e", "days": 1}, TODAY, on(BEFORE, 1) + on(TODAY, 1, 1), 2),
    ({"count": "e", "days": 2}, LEAP, on("2028-02-28", 1) + on("2028-02-29", 1), 1),
    ({"count": "e", "days": 2}, "2027-01-01", on("2026-12-30", 1) + on("2026-12-31", 1), 1),
    ({"count": "e", "days": 7}, TODAY, [[TODAY, "e", {}], *on(TODAY, 1, name="E"), *on(TODAY, 1, name="other")], 1),
    ({"sum": "e.f", "days": 7}, TODAY, [], 0),
    ({"sum": "e.f", "days": 7}, TODAY, on("2026-11-17", 1) + on("2026-11-18", 2) + on(TODAY, 4) + on(AFTER, 8), 6),
    ({"sum": "e.f", "days": 7}, TODAY, [[TODAY, "e", {}], [TODAY, "e", {"g": 5}], *on(TODAY, 3, "9", -1.5)], 1.5),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, *[0.1] * 10), 1),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 0.1, 0.2, 0.3), 0.6),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 10**12, 1e-5, -(10**12)), 1e-5),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 10**12, 0.5, 10**12), 2 * 10**12 + 0.5),
    ({"days_since": "e", "days": 7}, TODAY, [], INFINITY),
    ({"days_since": "e", "days": 7}, TODAY, on(TODAY, 1), 0),
    ({"days_since": "e", "days": 7}, TODAY, on("2026-11-18", 1), 6),
    ({"days_since": "e", "days": 7}, TODAY, on("2026-11-17", 1), INFINITY),
    ({"days_since": "e", "days": 7}, TODAY, on(BEFORE, 1) + on("2026-11-20", 1), 1),
    ({"days_since": "e", "days": 7}, TODAY, on("2026-11-20", 1) + on(AFTER, 1), 4),
    ({"days_since": "e", "days": 3660}, "2028-02-29", on("2024-02-29", 1), 1461),
    ({"top": "e.f", "days": 7}, TODAY, [], None),
    ({"top": "e.f", "days": 7}, TODAY, [[TODAY, "e", {}], [TODAY, "e", {"g": "a"}]], None),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "a", "a", "b"), "a"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "a", "b"), "b"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "b", "a", "a", "b"), "b"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "a", "b", "b", "a", "c"), "a"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "a", "c", "b"), "b"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "b") + on(BEFORE, "a"), "a"),
    ({"top": "e.f", "days": 7}, TODAY, on("2026-11-17", "a", "a") + on("2026-11-18", "b") + on(AFTER, "c", "c"), "b"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 7, "a", 7.0, "a", "7"), "7"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "books", "Books ", "Books"), "Books"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, COMPOSED, DECOMPOSED, COMPOSED), COMPOSED),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, ""), ""),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.1, 0.30000000000000004, 0.3), "0.3"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 10**12), "1000000000000"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 2 / 3), "0.666666666666667"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, -123456789.25), "-123456789.25"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.0001), "0.0001"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.000025), "2.5e-05"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, -0.0), "0"),
    ({"distinct": "e.f", "days": 7}, TODAY, [], 0),
    ({"distinct": "e.f", "days": 7}, TODAY, [[TODAY, "e", {}], *on(TODAY, "a", "b", "a")], 2),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, 7, 7.0, "7", 0, -0.0, 0.3, 0.30000000000000004), 3),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, "a", "A", "a ", "", COMPOSED, DECOMPOSED), 6),
    ({"distinct": "e.f", "days": 7}, TODAY, on("2026-11-17", "a") + on("2026-11-18", "b") + on(AFTER, "c"), 1),
]

# the signals of all rules below; a text is null without an event
KINDS = {"x": NUMBER, "y": NUMBER, "t": TEXT, "u": TEXT}

# a rule, signals, and whether it holds
CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("True", {}, True),
    ("False", {}, False),
    ("x == 1", {"x": 1}, True),
    ("x == 1.0", {"x": 1}, True),
    ("x != 1", {"x": 1}, False),
    ("1_000 == 1000 and .5 == 0.5 and 3. == 3 and 1e3 == 1E3 and 1e-7 < 1", {}, True),
    # chains: every pair must hold, the next is not looked at once one does not
    ("2 <= x <= 4", {"x": 2}, True),
    ("2 <= x <= 4", {"x": 4}, True),
    ("2 <= x <= 4", {"x": 5}, False),
    ("2 <= x <= 4", {"x": 1}, False),
    ("5 > x > 1 < y", {"x": 2, "y": 3}, True),
    ("0 == x != 1", {"x": 0}, True),
    ("x == 0 == y", {"x": 0, "y": 1}, False),
    ("not 1 < 0 < 1 / x", {"x": 0}, True),
    # how tightly it binds
    ("x == 1 or y == 1 and x == 2", {"x": 1, "y": 0}, True),
    ("not x == 1 and y == 1", {"x": 0, "y": 0}, False),
    ("not x == 1", {"x": 0}, True),
    ("-x == 0 - x", {"x": 2}, True),
    ("(x == 1) == (y == 2)", {"x": 0, "y": 0}, True),
    ("(x == 1) != True", {"x": 0}, True),
    # what fails fails as a whole, and counts as false
    ("x / y > 1", {"x": 1, "y": 0}, False),
    ("not x / y > 1", {"x": 1, "y": 0}, False),
    ("x / y != 1", {"x": 0, "y": 0}, False),
    ("x // y == 0", {"x": 0, "y": 0}, False),
    ("x % y == 0", {"x": 0, "y": 0}, False),
    ("x / y > 1 or x == 1", {"x": 1, "y": 0}, False),
    ("x == 1 or x / y > 1", {"x": 1, "y": 0}, True),
    ("not (y != 0 and x / y > 1)", {"x": 1, "y": 0}, True),
    ("x / y > 1", {"x": INFINITY, "y": 0}, False),
    # infinity, and what is no number
    ("x < 30", {"x": INFINITY}, False),
    ("x >= 366", {"x": INFINITY}, True),
    ("x == y", {"x": INFINITY, "y": INFINITY}, True),
    ("x == x + 1", {"x": INFINITY}, True),
    ("x - x < 1 or x - x >= 1 or x - x == x - x", {"x": INFINITY}, False),
    ("x - x != x - x", {"x": INFINITY}, True),
    ("x - x in [0, 1]", {"x": INFINITY}, False),
    ("x - x not in [0, 1]", {"x": INFINITY}, True),
    # doubles
    ("x + y == 0.3", {"x": 0.1, "y": 0.2}, False),
    ("x * 3 == 0.3", {"x": 0.1}, False),
    ("x / 3 * 3 == x", {"x": 1}, True),
    ("0 == -0.0", {}, True),
    # lists
    ("x in [1, 2.5, -3]", {"x": 2.5}, True),
    ("x in (1, 2, -3,)", {"x": -3}, True),
    ("x not in [1]", {"x": 1}, False),
    ("not x in [1]", {"x": 2}, True),
    ("(x == 1) in [True]", {"x": 1}, True),
    ("t in ['books', 'music']", {"t": "music"}, True),
    ("t in ['books', 'music']", {"t": None}, False),
    ("t not in ['books', 'music']", {"t": None}, True),
    # texts
    ("t == 'books'", {"t": "books"}, True),
    ("t == 'books'", {"t": "Books"}, False),
    ('t == "it\'s"', {"t": "it's"}, True),
    (f"t == '{COMPOSED}'", {"t": COMPOSED}, True),
    (f"t == '{COMPOSED}'", {"t": DECOMPOSED}, False),
    (f"t == '{NOTE}'", {"t": NOTE}, True),
    ("t == 'books'", {"t": None}, False),
    ("t != 'books'", {"t": None}, True),
    ("t == ''", {"t": None}, False),
    ("t == u", {"t": None, "u": None}, True),
    ("t == u", {"t": "a", "u": "a"}, True),
    ("len(t) > 0", {"t": None}, False),
    ("len(t) == 0", {"t": None}, False),
]

# the same for rules that yield a number; null where there is none
NUMBERS: list[tuple[str, dict[str, Any], Any]] = [
    ("5", {}, 5),
    ("x", {"x": 0.1}, 0.1),
    ("x", {"x": INFINITY}, INFINITY),
    ("-x", {"x": INFINITY}, "-infinity"),
    ("1_000 + .5 + 3. + 1e3", {}, 2003.5),
    ("2 + 3 * 4", {}, 14),
    ("x - y - 1", {"x": 5, "y": 2}, 2),
    ("12 / 2 / 3", {}, 2),
    ("7 // 2 * 2", {}, 6),
    ("1 - -x", {"x": 2}, 3),
    ("0.1 + 0.2", {}, 0.30000000000000004),
    ("x / y", {"x": 1, "y": 3}, 1 / 3),
    ("x / y", {"x": 1, "y": 0}, None),
    ("x / y", {"x": 0.0, "y": 0.0}, None),
    ("x / y", {"x": INFINITY, "y": 0}, None),
    ("1 / x", {"x": INFINITY}, 0),
    ("x - x", {"x": INFINITY}, None),
    ("x * 0", {"x": INFINITY}, None),
    # // is the floor of the exact quotient, % what is left: it has the sign of the divisor
    ("7 // 2", {}, 3),
    ("x // 2", {"x": -7}, -4),
    ("-x // 2", {"x": 7}, -4),
    ("-(x // 2)", {"x": 7}, -3),
    ("x // y", {"x": 7, "y": -2}, -4),
    ("x // 2", {"x": 7.5}, 3),
    ("1 // 0.1", {}, 9),
    ("x // y", {"x": 1, "y": 0}, None),
    ("x // 7", {"x": INFINITY}, None),
    ("5 // x", {"x": INFINITY}, 0),
    ("-5 // x", {"x": INFINITY}, -1),
    ("x % 3", {"x": 7}, 1),
    ("x % 3", {"x": -7}, 2),
    ("-x % 3", {"x": 7}, 2),
    ("x % y", {"x": 7, "y": -3}, -2),
    ("x % 2", {"x": -7.5}, 0.5),
    ("1 % 0.1", {}, 0.09999999999999995),
    ("x % 1", {"x": -1e-20}, 1),
    ("x % y", {"x": 1, "y": 0}, None),
    ("x % 7", {"x": INFINITY}, None),
    ("5 % x", {"x": INFINITY}, 5),
    ("-5 % x", {"x": INFINITY}, INFINITY),
    # calls
    ("abs(x)", {"x": -2.5}, 2.5),
    ("min([x, 3, y])", {"x": 4, "y": 2}, 2),
    ("max([x, 3, y])", {"x": 4, "y": 2}, 4),
    ("max([x])", {"x": 1}, 1),
    ("max([x, 3])", {"x": INFINITY}, INFINITY),
    ("max([x / y, 3])", {"x": 1, "y": 0}, None),
    ("min([1, x - x])", {"x": INFINITY}, 1),
    ("min([x - x, 1])", {"x": INFINITY}, None),
    ("max([1, x - x, 2])", {"x": INFINITY}, 2),
    ("len(t)", {"t": ""}, 0),
    ("len(t)", {"t": COMPOSED}, 3),
    ("len(t)", {"t": DECOMPOSED}, 5),
    ("len(t)", {"t": NOTE}, 1),
    ("len('books') + 1", {}, 6),
    ("len(t)", {"t": None}, None),
]

# what must be refused, and what it was to yield
REFUSED: list[tuple[str, str]] = [
    *((source, TRUTH) for source in ("", "x ==", "x = 1", "x == 1; y == 1", "x == 1 # one", "x == 1\n", "x <> 1")),
    *((source, TRUTH) for source in ("x", "t", "1", "x + y", "'books'")),
    *((source, NUMBER) for source in ("x == 1", "True", "t", "'5'")),
    *((source, TRUTH) for source in ("z == 1", "X == 1", "abs == 1", "x == None", "t == b'a'", "true")),
    *(
        (source, TRUTH)
        for source in ("x == 0x10", "x == 1j", "x == 007", "x == 1e16", "x == 1_", "x == 1e1_0", "x == 00.5")
    ),
    *((source, TRUTH) for source in ("x == 't'", "x == t", "t < 'a'", "'a' <= t <= 'b'", "(x == 1) == 1")),
    *((source, TRUTH) for source in ("(x == 1) < (y == 1)", "x is 1", "x and y", "not x", "x == 1 or t")),
    *((source, TRUTH) for source in ("x in 3", "x in [y]", "x in []", "x in {1, 2}", "x in [[1]]", "x in ['a']")),
    *(
        (source, TRUTH)
        for source in ("t in ['a', 1]", "t in 'abc'", "x in (1)", "0 < x in [1]", "x in [1] == True", "x in [--1]")
    ),
    *((source, NUMBER) for source in ("x ** 2", "x << 1", "x | y", "x @ y", "~x", "-t", "t + 'a'", "'a' * 3", "t % 1")),
    *(
        (source, NUMBER)
        for source in ("abs(t)", "abs(x, y)", "abs()", "max(x, y)", "min((x, y))", "min([])", "max([t])")
    ),
    *((source, NUMBER) for source in ("len(x)", "len([x])", "sum([x])", "round(x)", "x()", "max([x], key=abs)")),
    *(
        (source, NUMBER)
        for source in ("x.real", "t[0]", "[x]", "(x, y)", "x if y == 1 else 2", "lambda: x", "(y := x)")
    ),
    *((source, TRUTH) for source in ("t == 'a\\n'", "t == '''a'''", "t == f'{x}'", "é == 1", "t == ‘a’")),
    *((source, TRUTH) for source in ("t in ['a' 'b']", "t == u'a'", "t == r'a'")),
    ("x" + " " * 500, NUMBER),
    ("-" * 20 + "x", NUMBER),
    (f"max([{','.join('x' * 148)}])", NUMBER),
]

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

# events, the signals of 2026-11-24, and the segment of every question
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
