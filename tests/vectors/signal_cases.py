"""Cases for recorded values and signals. Written by hand, not computed by the shipped code."""

from __future__ import annotations

from typing import Any

from odd_values import COMPOSED, DECOMPOSED, INFINITY, NOTE

# a recorded value, and the stored value; "decimal" stands for any other type of number that a language has
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
# the same for a field that a survey sums
RECORDED_TO_SUM: list[tuple[Any, Any]] = [
    ("7", None),
    ("", None),
    (7.5, 7.5),
    (True, None),
    ({"decimal": "19.90"}, 19.9),
]


def on(day: str, *values: Any, name: str = "e") -> list[list[Any]]:
    """Events on one day, with these values in the field `f`."""
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
    # ties of %.15g go to the even digit; these doubles are exact
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 100000000000.0625), "100000000000.062"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 100000000000.1875), "100000000000.188"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, -100000000000.3125), "-100000000000.312"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.5000000000000005), "0.500000000000001"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 2.675), "2.675"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 999999999999.9999), "1000000000000"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.0001234567890123456), "0.000123456789012346"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 0.00009999999999999999), "0.0001"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 1e-7), "1e-07"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 1.5e-100), "1.5e-100"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, 5e-324), "4.94065645841247e-324"),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, 100000000000.0625, 100000000000.062, 100000000000.063), 2),
    # names that objects of some languages have
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "constructor", "toString", "constructor"), "constructor"),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "__proto__"), "__proto__"),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, "__proto__", "constructor", "valueOf", "__proto__"), 3),
    ({"count": "toString", "days": 7}, TODAY, on(TODAY, 1), 0),
    ({"distinct": "e.constructor", "days": 7}, TODAY, on(TODAY, "a"), 0),
    # nothing is normalized, and only numbers are formatted
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, DECOMPOSED, COMPOSED, DECOMPOSED), DECOMPOSED),
    ({"top": "e.f", "days": 7}, TODAY, on(TODAY, "\u212b", "\u00c5", "\u212b"), "\u212b"),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, "\ufb01", "fi", "\ufb00", "ff", "ß", "ss"), 6),
    ({"distinct": "e.f", "days": 7}, TODAY, on(TODAY, "7", "7.0", "07", 7, " 7", "1e2", 100), 6),
    # sums are exact
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 1e12, 1e-300, -1e12, -1e-300), 0),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 1, 1e-16, 1e-16), 1.0000000000000002),
    ({"sum": "e.f", "days": 7}, TODAY, on(TODAY, 2.0**39, 2.0**-14, 2.0**-14), 2.0**39 + 2.0**-13),
    # a day of 23 hours, and a year
    ({"days_since": "e", "days": 366}, "2027-03-29", on("2027-03-27", 1), 2),
    ({"days_since": "e", "days": 366}, "2026-11-01", on("2025-11-01", 1), 365),
]
