"""Reading a survey: the message for every mistake in its fields, privacy, cohorts and signals."""

from datetime import date, datetime, time

import pytest

GONE = ...  # removes a field
PERMANENT = {"privacy.memory": "permanent", "privacy.epsilon_permanent": 2.0, "privacy.changes": 3}
TOP = (
    "cohorts, ends, epoch, id, min_reports, owner, privacy, purpose, questions, "
    "retention_days, signals, starts, title, version"
)
IDENTIFIER = "must be 1 to 64 characters of a-z, 0-9, '_', '-' and '.', starting with a letter or digit"

TOP_LEVEL = [
    *(
        ({name: GONE}, f"{name}: is missing")
        for name in ("id", "version", "title", "purpose", "owner", "starts", "ends", "privacy", "questions")
    ),
    *(
        ({"id": value}, f"id: {IDENTIFIER}, got {value!r}")
        for value in ("", "Shop", "-a", "a b", "a\n", "é", "a" * 50 + "/", 7, None, ["a"])
    ),
    ({"id": "a" * 65}, f"id: {IDENTIFIER}, got '{'a' * 56}..."),
    *(
        ({"version": value}, f"version: must be an integer from 1 to 1,000,000, got {value!r}")
        for value in (0, -1, 1_000_001, 1.0, True, "1", None, [], {})
    ),
    ({"version": 2**63}, "version: must be an integer of at most 64 bits"),
    ({"version": 10**5000}, "version: must be an integer of at most 64 bits"),
    *(
        ({name: ""}, f"{name}: must be a string of 1 to {longest} printable characters, got ''")
        for name, longest in (("title", 200), ("purpose", 2000), ("owner", 200))
    ),
    *(
        (
            {name: "a" * (longest + 1)},
            f"{name}: must be a string of 1 to {longest} printable characters, got '{'a' * 56}...",
        )
        for name, longest in (("title", 200), ("purpose", 2000), ("owner", 200))
    ),
    *(
        ({"title": value}, f"title: must be a string of 1 to 200 printable characters, got {value!r}")
        for value in (" ", "a\nb", "\ud800", "\u202ea", "a\x00", 7, True, None, ["a"])
    ),
    ({"epoch": "weak"}, "epoch: must be one of 'day', 'week', 'month', got 'weak'"),
    ({"epoch": ["week"]}, "epoch: must be one of 'day', 'week', 'month', got ['week']"),
    ({"epoch": None}, "epoch: must be one of 'day', 'week', 'month', got None"),
    ({"epoch": "moth", "starts": date(2026, 11, 3)}, "epoch: must be one of 'day', 'week', 'month', got 'moth'"),
    *(
        ({"retention_days": value}, f"retention_days: must be an integer from 1 to 3,660, got {value!r}")
        for value in (0, 3661, 1.5, "180", None)
    ),
    *(
        ({"min_reports": value}, f"min_reports: must be an integer from 1 to 1,000,000,000, got {value!r}")
        for value in (0, 10**9 + 1, None)
    ),
    ({"xyz": "red"}, f"xyz: unknown field; known: {TOP}"),
    ({"ttile": "red"}, "ttile: unknown field; did you mean 'title'?"),
    ({"two\nlines": 1}, f"'two\\nlines': unknown field; known: {TOP}"),
    ({"x" * 70: 1}, f"'{'x' * 56}...: unknown field; known: {TOP}"),
]

DAYS = [
    *(
        ({"starts": value}, f"starts: must be a date like 2026-11-02, got {shown}")
        for value, shown in (
            (None, "None"),
            (7, "7"),
            ("soon", "'soon'"),
            ("2026-02-30", "'2026-02-30'"),
            (datetime(2026, 11, 2, 1), "2026-11-02 01:00:00"),
            (time(1), "datetime.time(1, 0)"),
            ([2026], "[2026]"),
        )
    ),
    ({"ends": None}, "ends: must be a date like 2026-11-02, got None"),
    ({"ends": date(9999, 12, 31)}, "ends: must be a date from 2000-01-01 to 2999-12-31, got 9999-12-31"),
    ({"starts": "0001-01-01"}, "starts: must be a date from 2000-01-01 to 2999-12-31, got 0001-01-01"),
    (
        {"starts": date(2026, 11, 3)},
        "starts: must be the first day of a week, got 2026-11-03; the nearest is 2026-11-02",
    ),
    (
        {"starts": date(2026, 11, 7)},
        "starts: must be the first day of a week, got 2026-11-07; the nearest is 2026-11-09",
    ),
    ({"ends": date(2027, 5, 3)}, "ends: must be the last day of a week, got 2027-05-03; the nearest is 2027-05-02"),
    ({"ends": date(2027, 5, 7)}, "ends: must be the last day of a week, got 2027-05-07; the nearest is 2027-05-09"),
    (
        {"epoch": "month", "starts": date(2026, 11, 16), "ends": date(2027, 1, 31)},
        "starts: must be the first day of a month, got 2026-11-16; the nearest is 2026-11-01",
    ),
    (
        {"epoch": "month", "starts": date(2026, 11, 1), "ends": date(2027, 2, 27)},
        "ends: must be the last day of a month, got 2027-02-27; the nearest is 2027-02-28",
    ),
    ({"ends": date(2026, 11, 1)}, "ends: must not be before starts (2026-11-02), got 2026-11-01"),
    (
        {"epoch": "day", "ends": date(2027, 11, 3)},
        "ends: must be at most 366 days after starts (2027-11-02), got 2027-11-03 (367 days)",
    ),
]

EPSILON = "must be a number between 0.01 and 8"
PRIVACY = [
    ({"privacy": 1}, "privacy: must be a table, got 1"),
    ({"privacy": None}, "privacy: must be a table, got None"),
    ({"privacy.epsilon": GONE}, "privacy.epsilon: is missing"),
    *(
        ({"privacy.epsilon": value}, f"privacy.epsilon: {EPSILON}, got {value!r}")
        for value in (0, -1, 80, 8.000001, 0.009, float("nan"), float("inf"), -float("inf"), "1", True, None, [1])
    ),
    *(
        (
            {"privacy.questions_per_device": value},
            f"privacy.questions_per_device: must be an integer from 1 to 64, got {value!r}",
        )
        for value in (0, 65, 1.0, None)
    ),
    (
        {"privacy.questions_per_device": 5},
        "privacy.questions_per_device: must be at most 4, the number of questions that are asked, got 5",
    ),
    *(
        ({"privacy.answers_every": value}, f"privacy.answers_every: must be an integer from 1 to 366, got {value!r}")
        for value in (0, 367, True)
    ),
    ({"privacy.memory": "long"}, "privacy.memory: must be one of 'fresh', 'permanent', got 'long'"),
    (
        {**PERMANENT, "privacy.memory": "permanant", "questions[0].epsilon_permanent": 1},
        "privacy.memory: must be one of 'fresh', 'permanent', got 'permanant'",
    ),
    (
        {"privacy.epsilon_permanent": 2},
        "privacy.epsilon_permanent: needs memory = 'permanent'; change memory, or remove this field",
    ),
    ({"privacy.changes": 2}, "privacy.changes: needs memory = 'permanent'; change memory, or remove this field"),
    (
        {"questions[0].epsilon_permanent": 2},
        "questions[0] (frequency).epsilon_permanent: needs memory = 'permanent'; change memory, or remove this field",
    ),
    ({"privacy.memory": "permanent", "privacy.changes": 0}, "privacy.epsilon_permanent: is missing"),
    ({"privacy.memory": "permanent", "privacy.epsilon_permanent": 2}, "privacy.changes: is missing"),
    ({**PERMANENT, "privacy.epsilon_permanent": 9}, f"privacy.epsilon_permanent: {EPSILON}, got 9"),
    ({**PERMANENT, "privacy.changes": 101}, "privacy.changes: must be an integer from 0 to 100, got 101"),
    (
        {**PERMANENT, "questions[2].epsilon_permanent": 0.5},
        "questions[2] (affinity).epsilon_permanent: must be at least epsilon = 1, got 0.5",
    ),
    (
        {**PERMANENT, "questions[2].epsilon": 2.5},
        "questions[2] (affinity).epsilon_permanent: must be at least epsilon = 2.5, got 2",
    ),
    ({"privacy.epsilonn": 1}, "privacy.epsilonn: unknown field; did you mean 'epsilon'?"),
]

FIFTY = [str(number) for number in range(50)]
COHORTS = [
    *(({"cohorts": value}, f"cohorts: must be a table, got {value!r}") for value in (1, None, ["web"])),
    *(
        ({"cohorts.platform": value}, f"cohorts.platform: must be a list of 1 to 64 strings, got {value!r}")
        for value in ("web", 1, None, [], {})
    ),
    (
        {"cohorts.platform": FIFTY + FIFTY},
        f"cohorts.platform: must be a list of 1 to 64 strings, got {repr(FIFTY)[:57]}...",
    ),
    ({"cohorts.platform[1]": 7}, "cohorts.platform[1]: must be a string of 1 to 100 printable characters, got 7"),
    ({"cohorts.platform[1]": ""}, "cohorts.platform[1]: must be a string of 1 to 100 printable characters, got ''"),
    (
        {"cohorts.platform[0]": "a\tb"},
        "cohorts.platform[0]: must be a string of 1 to 100 printable characters, got 'a\\tb'",
    ),
    ({"cohorts.platform[2]": "web"}, "cohorts.platform[2]: 'web' is already in the list; remove the duplicate"),
    (
        {"cohorts.my platform": ["a"]},
        "cohorts.my platform: the name of a cohort must consist of letters, digits and '_', "
        "and must not start with a digit",
    ),
    ({"cohorts": {name: ["x"] for name in "abcd"}}, "cohorts: must have at most 3 cohorts, got 4"),
    ({"cohorts": {"a": FIFTY, "b": ["x", "y"]}}, "cohorts: must have at most 64 combinations of values, got 100"),
]

NAME = "must consist of letters, digits and '_', and must not start with a digit"
FUNCTIONS = "count, sum, days_since, top, distinct"
SIGNALS = [
    ({"signals.orders_90d": 5}, "signals.orders_90d: must be a table, got 5"),
    ({"signals.orders_90d": {"days": 5}}, f"signals.orders_90d: must have exactly one of {FUNCTIONS}, got none"),
    (
        {"signals.orders_90d": {"count": "a", "sum": "a.b", "days": 5}},
        f"signals.orders_90d: must have exactly one of {FUNCTIONS}, got count, sum",
    ),
    ({"signals.orders_90d.days": GONE}, "signals.orders_90d.days: is missing"),
    *(
        (
            {"signals.orders_90d.days": value},
            f"signals.orders_90d.days: must be an integer from 1 to 3,660, got {value!r}",
        )
        for value in (0, -1, 3661, 30.0, "30", True, None)
    ),
    *(
        (
            {"signals.orders_90d.count": value},
            f"signals.orders_90d.count: must name an event, like 'purchase', got {value!r}",
        )
        for value in ("purchase.amount", "a b", "9a", "a-b", ".", "é")
    ),
    (
        {"signals.orders_90d.count": 7},
        "signals.orders_90d.count: must be a string of 1 to 500 printable characters, got 7",
    ),
    *(
        (
            {"signals.spend_90d.sum": value},
            f"signals.spend_90d.sum: must name an event and a field, like 'purchase.amount', got {value!r}",
        )
        for value in ("purchase", "purchase.", ".amount", "a.b.c", "a.9")
    ),
    (
        {"signals.favourite.top": "purchase"},
        "signals.favourite.top: must name an event and a field, like 'purchase.amount', got 'purchase'",
    ),
    (
        {"signals.more": {"distinct": "purchase", "days": 1}},
        "signals.more.distinct: must name an event and a field, like 'purchase.amount', got 'purchase'",
    ),
    ({"signals.idle_days.day": 3}, "signals.idle_days.day: unknown field; did you mean 'days'?"),
    (
        {"signals.more": {"cuont": "note", "days": 1}},
        "signals.more.cuont: unknown field; did you mean 'count'?",
    ),
    *(
        (
            {f"signals.{name}": {"count": "a", "days": 1}},
            f"signals.{name}: the name of a signal {NAME}",
        )
        for name in ("a b", "9a", "é", "a-b")
    ),
    *(
        (
            {f"signals.{name}": {"count": "a", "days": 1}},
            f"signals.{name}: the name of a signal must not be a Python keyword or a function of rules; "
            "choose another name",
        )
        for name in ("len", "and", "True", "None", "class")
    ),
    (
        {"signals.a\nb": {"count": "a", "days": 1}},
        f"signals.'a\\nb': the name of a signal {NAME}",
    ),
    (
        {
            "signals": {f"s{number}": {"count": "a", "days": 1} for number in range(129)},
            "questions": [{"id": "q", "segments": [{"id": "a", "when": "s1 == 0"}, {"id": "b"}]}],
        },
        "signals: must have at most 128 signals, got 129",
    ),
]

CASES = [*TOP_LEVEL, *DAYS, *PRIVACY, *COHORTS, *SIGNALS]


@pytest.mark.parametrize(("changes", "problem"), CASES)
def test_one_mistake_is_one_line(changes, problem, problems):
    """The line states the place, the requirement, the given value and, if useful, what to do."""
    assert problems(changes) == [problem]
