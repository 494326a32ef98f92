"""Limits from both sides: the largest value that a client accepts, and the smallest that it refuses."""

from __future__ import annotations

from typing import Any

from device_cases import everything, permanent
from odd_values import NOTE

SURVEYS = [everything(epoch="day"), permanent(1)]


def names(number: int, prefix: str = "v") -> list[str]:
    return [f"{prefix}{index}" for index in range(number)]


def signals(number: int) -> dict[str, Any]:
    """So many signals, among them those that the questions use."""
    used = {
        "orders": {"count": "purchase", "days": 30},
        "spend": {"sum": "purchase.amount", "days": 7},
        "idle": {"days_since": "purchase", "days": 365},
        "favourite": {"top": "purchase.category", "days": 30},
        "kinds": {"distinct": "purchase.category", "days": 30},
        "constructor": {"count": "toString", "days": 1},
    }
    return used | {name: {"count": "purchase", "days": 1} for name in names(number - len(used))}


def choice(id: str, size: int) -> dict[str, Any]:
    """A question with so many segments, as a survey file states it."""
    return {"id": id, "one_of": "favourite", "categories": names(size - 1), "mechanism": "direct"}


def cross(id: str, *crossed: str) -> dict[str, Any]:
    return {"id": id, "cross": list(crossed), "mechanism": "direct"}


IDS = names(8, "q")
DIGITS = [choice(id, 4) for id in IDS]
FULL = cross("full", *IDS)  # 65,536 combinations
FOUR_FULL = [*DIGITS, FULL, *(cross(id, *IDS) for id in names(3, "full"))]

# the questions of a survey file, within and beyond a limit
QUESTIONS: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    ([choice(id, 2) for id in names(64, "q")], [choice(id, 2) for id in names(65, "q")]),
    ([*DIGITS, cross("x", *IDS[:2])], [*DIGITS, cross("x", *IDS[:1])]),
    (
        [*(choice(id, 2) for id in IDS), cross("x", *IDS)],
        [*(choice(id, 2) for id in names(9, "q")), cross("x", *names(9, "q"))],
    ),
    ([*DIGITS, FULL], [choice("q0", 5), *DIGITS[1:], FULL]),
    (FOUR_FULL, [*FOUR_FULL, cross("x", *IDS[:2])]),
]
FIRST, PERMANENT = 0, 1
# the number of a survey, the place of a field, and values within and beyond a limit
FIELDS: list[tuple[int, list[Any], Any, Any]] = [
    (FIRST, ["id"], "a" * 64, "a" * 65),
    (FIRST, ["version"], 1, 0),
    (FIRST, ["version"], 1_000_000, 1_000_001),
    (FIRST, ["title"], NOTE * 200, NOTE * 201),
    (FIRST, ["purpose"], "p" * 2_000, "p" * 2_001),
    (FIRST, ["owner"], "o" * 200, "o" * 201),
    (FIRST, ["retention_days"], 1, 0),
    (FIRST, ["retention_days"], 3_660, 3_661),
    (FIRST, ["min_reports"], 1, 0),
    (FIRST, ["min_reports"], 1_000_000_000, 1_000_000_001),
    (FIRST, ["ends"], "2027-11-02", "2027-11-03"),
    (FIRST, ["privacy", "epsilon"], 0.01, 0.009999999999999998),
    (FIRST, ["privacy", "epsilon"], 8, 8.000000000000002),
    (FIRST, ["privacy", "questions_per_device"], 4, 5),
    (FIRST, ["privacy", "questions_per_device"], 1, 0),
    (FIRST, ["privacy", "answers_every"], 1, 0),
    (FIRST, ["privacy", "answers_every"], 366, 367),
    (PERMANENT, ["privacy", "changes"], 0, -1),
    (PERMANENT, ["privacy", "changes"], 100, 101),
    (PERMANENT, ["privacy", "epsilon_permanent"], 8, 8.000000000000002),
    (PERMANENT, ["privacy", "epsilon_permanent"], 1, 0.9999999999999999),
    (FIRST, ["cohorts"], {name: ["x"] for name in "abc"}, {name: ["x"] for name in "abcd"}),
    (FIRST, ["cohorts", "plan"], names(32), names(33)),
    (FIRST, ["cohorts", "plan"], ["x" * 100], ["x" * 101]),
    (FIRST, ["cohorts"], {"a" * 64: ["x"]}, {"a" * 65: ["x"]}),
    (FIRST, ["signals"], signals(128), signals(129)),
    (FIRST, ["signals", "orders", "days"], 1, 0),
    (FIRST, ["signals", "orders", "days"], 3_660, 3_661),
    (FIRST, ["signals", "orders", "count"], "e" * 64, "e" * 65),
    (FIRST, ["questions", 1, "categories"], ["x" * 100, *"abc"], ["x" * 101, *"abc"]),
    (FIRST, ["questions", 0, "title"], "t" * 100, "t" * 101),
    (FIRST, ["questions", 2, "otherwise"], "n" * 64, "n" * 65),
    (FIRST, ["questions", 2, "edges"], [-1e15, 0, 1, 1e15], [-1e15, 0, 1, 1000000000000000.1]),
    (FIRST, ["questions", 2, "edges"], [-1e15, 0, 1, 2], [-1000000000000000.1, 0, 1, 2]),
]
# every limit of a rule; yields is the type that it must have
RULES: list[tuple[str, str, str]] = [
    ("x" + " " * 499, "x" + " " * 500, "number"),
    (f"len('{NOTE * 493}')", f"len('{NOTE * 494}')", "number"),
    ("-" * 19 + "x", "-" * 20 + "x", "number"),
    ("(" * 20 + "x" + ")" * 20, "(" * 21 + "x" + ")" * 21, "number"),
    ("abs(" * 19 + "x" + ")" * 19, "abs(" * 20 + "x" + ")" * 20, "number"),
    (f"max([{','.join('x' * 147)}])", f"max([{','.join('x' * 148)}])", "number"),
    (f"x in [{','.join('1' * 147)}]", f"x in [{','.join('1' * 148)}]", "truth"),
    ("x" + "<x" * 148, "x" + "<x" * 149, "truth"),
    (" + ".join("x" * 20), " + ".join("x" * 21), "number"),
    ("1000000000000000", "1000000000000001", "number"),
    ("1000000000000000.05", "1000000000000000.1", "number"),
    ("x in [-1e15, 1e15]", "x in [-1e15, 1.0000000000000002e15]", "truth"),
    ("1_0.5", "1_0.5_0", "number"),
    ("max([x,])", "max([x,,])", "number"),
    ("x in (1,)", "x in (1)", "truth"),
    ("abs(x)", "abs(x,)", "number"),
    ("abs((x))", "(abs)(x)", "number"),
    ("max([(x)])", "max(([x]))", "number"),
    ("x in [-1]", "x in [-(1)]", "truth"),
    ('t == \'"""\'', 't == """\'"""', "truth"),
]
# a recorded value that is stored, and one that is not
RECORDED: list[tuple[Any, Any]] = [
    (10**12, 1_000_000_000_000.0001),
    (-(10**12), -1_000_000_000_000.0001),
    ("x" * 100, "x" * 101),
    (NOTE * 100, NOTE * 101),
]
