import copy
import re
import tomllib
from datetime import date, datetime, time
from importlib import resources

import pytest

from client_sdk.errors import Problem, SurveyError
from client_sdk.fields import did_you_mean
from client_sdk.survey import Survey

EXAMPLE = resources.files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")
GONE = object()
PERMANENT = {"privacy.memory": "permanent", "privacy.epsilon_permanent": 2.0, "privacy.changes": 3}
TOP = (
    "cohorts, ends, epoch, id, min_reports, owner, privacy, purpose, questions, "
    "retention_days, signals, starts, title, version"
)
MECHANISMS = "affine, auto, direct, oue, projective, rappor, subset, sue"


def edited(changes):
    """The example's table with other values at some places; GONE takes a field away."""
    table = tomllib.loads(EXAMPLE)
    for place, value in changes.items():
        steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", place)
        *way, last = [name or int(index) for name, index in steps]
        spot = table
        for step in way:
            spot = spot[step]
        if value is GONE:
            del spot[last]
        elif isinstance(spot, list) and last == len(spot):
            spot.append(copy.deepcopy(value))
        else:
            spot[last] = copy.deepcopy(value)
    return table


def problems(changes):
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(edited(changes))
    return str(caught.value).splitlines()


IDENTIFIER = "must be 1 to 64 of a-z, 0-9, '_', '-', '.', beginning with a letter or digit"
SEGMENTS = [{"id": "a", "when": "orders_90d == 0"}, {"id": "b"}]

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
        ({name: ""}, f"{name}: must be a text of 1 to {longest} printable characters, got ''")
        for name, longest in (("title", 200), ("purpose", 2000), ("owner", 200))
    ),
    *(
        (
            {name: "a" * (longest + 1)},
            f"{name}: must be a text of 1 to {longest} printable characters, got '{'a' * 56}...",
        )
        for name, longest in (("title", 200), ("purpose", 2000), ("owner", 200))
    ),
    *(
        ({"title": value}, f"title: must be a text of 1 to 200 printable characters, got {value!r}")
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
        "starts: must be the first day of a week; the nearest is 2026-11-02, got 2026-11-03",
    ),
    (
        {"starts": date(2026, 11, 7)},
        "starts: must be the first day of a week; the nearest is 2026-11-09, got 2026-11-07",
    ),
    ({"ends": date(2027, 5, 3)}, "ends: must be the last day of a week; the nearest is 2027-05-02, got 2027-05-03"),
    ({"ends": date(2027, 5, 7)}, "ends: must be the last day of a week; the nearest is 2027-05-09, got 2027-05-07"),
    (
        {"epoch": "month", "starts": date(2026, 11, 16), "ends": date(2027, 1, 31)},
        "starts: must be the first day of a month; the nearest is 2026-11-01, got 2026-11-16",
    ),
    (
        {"epoch": "month", "starts": date(2026, 11, 1), "ends": date(2027, 2, 27)},
        "ends: must be the last day of a month; the nearest is 2027-02-28, got 2027-02-27",
    ),
    ({"ends": date(2026, 11, 1)}, "ends: must not be before starts (2026-11-02), got 2026-11-01"),
    (
        {"epoch": "day", "ends": date(2027, 11, 3)},
        "ends: must be at most one year (366 days) after starts, got 367 days",
    ),
]

EPSILON = "must be a number, at least 0.01 and at most 8"
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
        "privacy.questions_per_device: must be at most the number of questions that are asked, 4, got 5",
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
    ({"privacy.epsilon_permanent": 2}, "privacy.epsilon_permanent: goes with memory = 'permanent' only"),
    ({"privacy.changes": 2}, "privacy.changes: goes with memory = 'permanent' only"),
    (
        {"questions[0].epsilon_permanent": 2},
        "questions[0] (frequency).epsilon_permanent: goes with memory = 'permanent' only",
    ),
    ({"privacy.memory": "permanent", "privacy.changes": 0}, "privacy.epsilon_permanent: is missing"),
    ({"privacy.memory": "permanent", "privacy.epsilon_permanent": 2}, "privacy.changes: is missing"),
    ({**PERMANENT, "privacy.epsilon_permanent": 9}, f"privacy.epsilon_permanent: {EPSILON}, got 9"),
    ({**PERMANENT, "privacy.changes": 101}, "privacy.changes: must be an integer from 0 to 100, got 101"),
    (
        {**PERMANENT, "questions[2].epsilon_permanent": 0.5},
        "questions[2] (affinity).epsilon_permanent: must not be below its epsilon (1), got 0.5",
    ),
    (
        {**PERMANENT, "questions[2].epsilon": 2.5},
        "questions[2] (affinity).epsilon_permanent: must not be below its epsilon (2.5), got 2",
    ),
    ({"privacy.epsilonn": 1}, "privacy.epsilonn: unknown field; did you mean 'epsilon'?"),
]

FIFTY = [str(number) for number in range(50)]
COHORTS = [
    *(({"cohorts": value}, f"cohorts: must be a table, got {value!r}") for value in (1, None, ["web"])),
    *(
        ({"cohorts.platform": value}, f"cohorts.platform: must be a list of 1 to 64 texts, got {value!r}")
        for value in ("web", 1, None, [], {})
    ),
    (
        {"cohorts.platform": FIFTY + FIFTY},
        f"cohorts.platform: must be a list of 1 to 64 texts, got {repr(FIFTY)[:57]}...",
    ),
    ({"cohorts.platform[1]": 7}, "cohorts.platform[1]: must be a text of 1 to 100 printable characters, got 7"),
    ({"cohorts.platform[1]": ""}, "cohorts.platform[1]: must be a text of 1 to 100 printable characters, got ''"),
    (
        {"cohorts.platform[0]": "a\tb"},
        "cohorts.platform[0]: must be a text of 1 to 100 printable characters, got 'a\\tb'",
    ),
    ({"cohorts.platform[2]": "web"}, "cohorts.platform[2]: 'web' stands here twice"),
    (
        {"cohorts.my platform": ["a"]},
        "cohorts.my platform: a cohort's name must be letters, digits and '_', beginning with a letter",
    ),
    ({"cohorts": {name: ["x"] for name in "abcd"}}, "cohorts: must be at most 3, got 4"),
    ({"cohorts": {"a": FIFTY, "b": ["x", "y"]}}, "cohorts: must have at most 64 combinations, got 100"),
]

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
            f"signals.orders_90d.count: must be event, like 'purchase', got {value!r}",
        )
        for value in ("purchase.amount", "a b", "9a", "a-b", ".", "é")
    ),
    (
        {"signals.orders_90d.count": 7},
        "signals.orders_90d.count: must be a text of 1 to 500 printable characters, got 7",
    ),
    *(
        (
            {"signals.spend_90d.sum": value},
            f"signals.spend_90d.sum: must be event.field, like 'purchase.amount', got {value!r}",
        )
        for value in ("purchase", "purchase.", ".amount", "a.b.c", "a.9")
    ),
    (
        {"signals.favourite.top": "purchase"},
        "signals.favourite.top: must be event.field, like 'purchase.amount', got 'purchase'",
    ),
    (
        {"signals.more": {"distinct": "purchase", "days": 1}},
        "signals.more.distinct: must be event.field, like 'purchase.amount', got 'purchase'",
    ),
    ({"signals.idle_days.day": 3}, "signals.idle_days.day: unknown field; did you mean 'days'?"),
    (
        {"signals.more": {"cuont": "note", "days": 1}},
        "signals.more.cuont: unknown field; did you mean 'count'?",
    ),
    *(
        (
            {f"signals.{name}": {"count": "a", "days": 1}},
            f"signals.{name}: a signal's name must be letters, digits and '_', and no word of Python",
        )
        for name in ("a b", "9a", "é", "len", "and", "True", "None", "class", "a-b")
    ),
    (
        {"signals.a\nb": {"count": "a", "days": 1}},
        "signals.'a\\nb': a signal's name must be letters, digits and '_', and no word of Python",
    ),
    (
        {
            "signals": {f"s{number}": {"count": "a", "days": 1} for number in range(129)},
            "questions": [{"id": "q", "segments": [{"id": "a", "when": "s1 == 0"}, {"id": "b"}]}],
        },
        "signals: must be at most 128, got 129",
    ),
]

FORMS = "segments, one_of, number, cross"
QUESTIONS = [
    *(
        ({"questions": value}, f"questions: must be a list of 1 to 64 tables, got {value!r}")
        for value in ([], 1, None, {})
    ),
    ({"questions": [{}] * 65}, f"questions: must be a list of 1 to 64 tables, got {repr([{}] * 65)[:57]}..."),
    ({"questions[5]": 3}, "questions[5]: must be a table, got 3"),
    (
        {"questions[0].id": "Q", "questions[3]": GONE, "questions[1].only_crossed": False},
        f"questions[0].id: {IDENTIFIER}, got 'Q'",
    ),
    ({"questions[4].id": "affinity"}, "questions[4] (affinity).id: 'affinity' is taken by questions[2]"),
    ({"questions[4]": {"id": "x"}}, f"questions[4] (x): must have exactly one of {FORMS}, got none"),
    ({"questions[4].segments": []}, f"questions[4] (basket): must have exactly one of {FORMS}, got segments, number"),
    ({"questions[4].edge": [1]}, "questions[4] (basket).edge: unknown field; did you mean 'edges'?"),
    *(
        ({"questions[0].epsilon": value}, f"questions[0] (frequency).epsilon: {EPSILON}, got {value!r}")
        for value in (0, -1, 80, "high", None, True)
    ),
    ({"questions[0].only_crossed": "yes"}, "questions[0] (frequency).only_crossed: must be true or false, got 'yes'"),
    ({"questions[0].only_crossed": 1}, "questions[0] (frequency).only_crossed: must be true or false, got 1"),
    (
        {"questions[2].only_crossed": True},
        "questions[2] (affinity).only_crossed: is true, but no question crosses this one",
    ),
    (
        {"questions[3].only_crossed": True},
        "questions[3] (frequency_x_returned).only_crossed: is true, but no question crosses this one",
    ),
]

CONDITIONS = [
    ({"questions[0].segments": 7}, "questions[0] (frequency).segments: must be a list of 1 to 65,536 tables, got 7"),
    ({"questions[0].segments": []}, "questions[0] (frequency).segments: must be a list of 1 to 65,536 tables, got []"),
    ({"questions[0].segments[1]": "once"}, "questions[0] (frequency).segments[1]: must be a table, got 'once'"),
    ({"questions[0].segments[1].id": GONE}, "questions[0] (frequency).segments[1].id: is missing"),
    ({"questions[0].segments[1].id": "A"}, f"questions[0] (frequency).segments[1].id: {IDENTIFIER}, got 'A'"),
    (
        {"questions[0].segments[1].id": "none"},
        "questions[0] (frequency).segments[1] (none).id: 'none' is taken by segments[0]",
    ),
    (
        {"questions[0].segments[1].when": GONE},
        "questions[0] (frequency).segments[1] (once).when: is missing: only the last segment may take the rest",
    ),
    *(
        (
            {"questions[0].segments[1].when": value},
            f"questions[0] (frequency).segments[1] (once).when: must be an expression in quotes, got {value!r}",
        )
        for value in (True, 7, None, ["x"])
    ),
    (
        {"questions[0].segments[1].when": "orders_90d"},
        "questions[0] (frequency).segments[1] (once).when: must be true or false, is a number",
    ),
    (
        {"questions[0].segments[1].when": "9**9**9 > 1"},
        "questions[0] (frequency).segments[1] (once).when: may not hold a power (**)",
    ),
    (
        {"questions[0].segments[1].wen": 1},
        "questions[0] (frequency).segments[1] (once).wen: unknown field; did you mean 'when'?",
    ),
    (
        {
            "questions[1].segments": [
                *SEGMENTS[:1],
                {"id": "b", "when": "orders_90d == 1"},
                {"id": "c", "when": "order_90d == 2"},
                {"id": "d"},
            ]
        },
        "questions[1] (returned).segments[2] (c).when: unknown signal 'order_90d'; did you mean 'orders_90d'?",
    ),
    (
        {"questions[1].segments": [{"id": "other", "when": "idle_days < 3"}, {"id": "b", "when": "idle_days < 9"}]},
        (
            "questions[1] (returned).segments: "
            "the last segment must be without 'when', as 'other' is already one of the others"
        ),
    ),
    (
        {"questions[1].segments": [{"id": "all"}]},
        "questions[1] (returned).segments: must tell customers apart, but all would be in 'all': give it a 'when'",
    ),
]

CATEGORIES = [
    (
        {"questions[2].one_of": 7},
        "questions[2] (affinity).one_of: must be a text of 1 to 500 printable characters, got 7",
    ),
    (
        {"questions[2].one_of": "orders_90d"},
        "questions[2] (affinity).one_of: must be a signal made by top, got 'orders_90d'; known: favourite",
    ),
    (
        {"questions[2].one_of": "favorite"},
        "questions[2] (affinity).one_of: must be a signal made by top, got 'favorite'; did you mean 'favourite'?",
    ),
    ({"signals.favourite": GONE}, "questions[2] (affinity).one_of: must be a signal made by top, got 'favourite'"),
    ({"questions[2].categories": GONE}, "questions[2] (affinity).categories: is missing"),
    (
        {"questions[2].categories": "books"},
        "questions[2] (affinity).categories: must be a list of 1 to 65,535 texts, got 'books'",
    ),
    (
        {"questions[2].categories[0]": 1},
        "questions[2] (affinity).categories[0]: must be a text of 1 to 100 printable characters, got 1",
    ),
    ({"questions[2].categories[2]": "books"}, "questions[2] (affinity).categories[2]: 'books' stands here twice"),
    (
        {"questions[2].categories[1]": "other"},
        "questions[2] (affinity).categories: 'other' is always there: leave it out",
    ),
]

SCALES = [
    ({"questions[4].number": 7}, "questions[4] (basket).number: must be an expression in quotes, got 7"),
    ({"questions[4].number": "spend_90d > 1"}, "questions[4] (basket).number: must be a number, is true or false"),
    (
        {"questions[4].number": "spend / 2"},
        "questions[4] (basket).number: unknown signal 'spend'; did you mean 'spend_90d'?",
    ),
    ({"questions[4].edges": GONE}, "questions[4] (basket).edges: is missing"),
    *(
        (
            {"questions[4].edges": value},
            f"questions[4] (basket).edges: must be a list of 1 to 65,535 numbers, got {value!r}",
        )
        for value in ([], 7, None, "1")
    ),
    *(
        (
            {"questions[4].edges[1]": value},
            f"questions[4] (basket).edges[1]: must be a number within ±1e+15, got {value!r}",
        )
        for value in ("20", None, True, 1e16, -1e16, 10**16, float("nan"), float("inf"), [])
    ),
    ({"questions[4].edges": [0, 20, 20]}, "questions[4] (basket).edges: must rise, got [0, 20, 20]"),
    ({"questions[4].edges": [5, 0]}, "questions[4] (basket).edges: must rise, got [5, 0]"),
    (
        {"questions[4].edges": [0.1 + 0.2, 0.3 + 2e-16, 1]},
        "questions[4] (basket).edges: are too close together to be told apart by their names",
    ),
    ({"questions[4].otherwise": "No!"}, f"questions[4] (basket).otherwise: {IDENTIFIER}, got 'No!'"),
    (
        {"questions[4].otherwise": "20-50"},
        "questions[4] (basket).otherwise: '20-50' is the name of a segment between edges",
    ),
]

MANY = {"edges": list(range(300)), "number": "orders_90d"}
CROSSES = [
    (
        {"questions[3].cross": "frequency"},
        "questions[3] (frequency_x_returned).cross: must be a list of 2 to 8 texts, got 'frequency'",
    ),
    (
        {"questions[3].cross": ["frequency"], "questions[1].only_crossed": False},
        "questions[3] (frequency_x_returned).cross: must be a list of 2 to 8 texts, got ['frequency']",
    ),
    (
        {"questions[3].cross": ["returned", "returned"]},
        "questions[3] (frequency_x_returned).cross[1]: 'returned' stands here twice",
    ),
    (
        {"questions[3].cross[0]": "frequenzy"},
        "questions[3] (frequency_x_returned).cross[0]: unknown question 'frequenzy'; did you mean 'frequency'?",
    ),
    (
        {"questions[3].cross[0]": "zzz"},
        (
            "questions[3] (frequency_x_returned).cross[0]: "
            "unknown question 'zzz'; known: affinity, basket, frequency, returned"
        ),
    ),
    (
        {"questions[3].cross[0]": "frequency_x_returned"},
        "questions[3] (frequency_x_returned).cross[0]: 'frequency_x_returned' is a cross itself: name its parts",
    ),
    (
        {"questions[3].segments": SEGMENTS, "questions[3].otherwise": "x"},
        (
            "questions[3] (frequency_x_returned): "
            "a question with 'cross' takes its segments from the crossed questions alone"
        ),
    ),
    (
        {"questions[3].edges": [1]},
        (
            "questions[3] (frequency_x_returned).edges: "
            "unknown field; known: cross, epsilon, epsilon_permanent, id, mechanism, only_crossed"
        ),
    ),
    (
        {
            "questions[5]": {"id": "m1", **MANY},
            "questions[6]": {"id": "m2", **MANY},
            "questions[7]": {"id": "big", "cross": ["m1", "m2"]},
        },
        "questions[7] (big).cross: must have at most 65,536 combinations, got 90,601",
    ),
    (
        {
            "questions[5]": {"id": "c1", "one_of": "favourite", "categories": ["a & b", "a"]},
            "questions[6]": {"id": "c2", "one_of": "favourite", "categories": ["c", "b & c"]},
            "questions[7]": {"id": "both", "cross": ["c1", "c2"]},
        },
        "questions[7] (both).cross: has two combinations of the same name: leave ' & ' out of the categories",
    ),
]

NAMED = "must be a name, or a table with a name and its parameters"
MECHANISM = [
    *(
        ({"questions[0].mechanism": value}, f"questions[0] (frequency).mechanism: {NAMED}, got {value!r}")
        for value in (7, None, [], {}, {"name": 7}, {"w": 3}, True)
    ),
    *(
        (
            {"questions[0].mechanism": value},
            "questions[0] (frequency).mechanism: must be a mechanism, got 'dirct'; did you mean 'direct'?",
        )
        for value in ("dirct", {"name": "dirct", "w": 1})
    ),
    (
        {"questions[0].mechanism": "best"},
        f"questions[0] (frequency).mechanism: must be a mechanism, got 'best'; known: {MECHANISMS}",
    ),
    (
        {"questions[0].mechanism": {"name": "auto", "w": 1}},
        "questions[0] (frequency).mechanism: auto takes no parameters, got 'w'",
    ),
    (
        {"questions[0].mechanism": {"name": "direct", "w": 1}},
        "questions[0] (frequency).mechanism: direct takes no parameters, got 'w'",
    ),
    (
        {"questions[0].mechanism": {"name": "direct", "symbols": 5}},
        "questions[0] (frequency).mechanism: symbols of direct must be 4, as derived, got 5",
    ),
    (
        {"questions[0].mechanism": {"name": "direct", "symbols": 2**70}},
        "questions[0] (frequency).mechanism.symbols: must be an integer of at most 64 bits",
    ),
    (
        {"questions[0].mechanism": {"name": "subset", "w": "1"}},
        "questions[0] (frequency).mechanism: w of subset must be a whole number, got '1'",
    ),
    (
        {"questions[0].mechanism": "rappor"},
        "questions[0] (frequency).mechanism: rappor needs k, h, m, f, p, q; k is missing",
    ),
]

CASES = [
    *TOP_LEVEL,
    *DAYS,
    *PRIVACY,
    *COHORTS,
    *SIGNALS,
    *QUESTIONS,
    *CONDITIONS,
    *CATEGORIES,
    *SCALES,
    *CROSSES,
    *MECHANISM,
]


@pytest.mark.parametrize(("changes", "problem"), CASES)
def test_one_mistake_is_one_line_with_its_place_and_what_was_required(changes, problem):
    """Every check of the contract: the place, the requirement and what came, and nothing else."""
    assert problems(changes) == [problem]


def test_a_survey_with_three_mistakes_names_all_three():
    """All mistakes are found at once, each in a line of its own, and are there as data too."""
    changes = {"owner": "", "questions[0].segments[2].when": "orders_90d >", "questions[2].epsilon": 80}
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(edited(changes))
    assert [problem.place for problem in caught.value.problems] == [
        "owner",
        "questions[0] (frequency).segments[2] (regular).when",
        "questions[2] (affinity).epsilon",
    ]
    assert caught.value.problems[2] == Problem("questions[2] (affinity).epsilon", f"{EPSILON}, got 80")
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))


def test_everything_wrong_is_said_in_the_order_of_the_reading():
    """One mistake of every table is found in one go, and a question's mistakes do not hide those of the next."""
    assert problems(
        {
            "id": "Shop",
            "privacy.epsilon": 0,
            "cohorts.platform": [],
            "signals.idle_days.days": 0,
            "questions[0].epsilon": -1,
            "questions[0].mechanism": "dirct",
            "questions[2].one_of": "orders_90d",
            "questions[4].edges": [2, 1],
            "zzz": 1,
        }
    ) == [
        f"id: {IDENTIFIER}, got 'Shop'",
        f"privacy.epsilon: {EPSILON}, got 0",
        "cohorts.platform: must be a list of 1 to 64 texts, got []",
        "signals.idle_days.days: must be an integer from 1 to 3,660, got 0",
        "questions[2] (affinity).one_of: must be a signal made by top, got 'orders_90d'; known: favourite",
        "questions[4] (basket).edges: must rise, got [2, 1]",
        f"questions[0] (frequency).epsilon: {EPSILON}, got -1",
        "questions[0] (frequency).mechanism: must be a mechanism, got 'dirct'; did you mean 'direct'?",
        f"zzz: unknown field; known: {TOP}",
    ]


def test_no_more_than_a_hundred_mistakes_are_named():
    """A definition that is wrong all over is refused soon: a collector cannot keep a device busy with it."""
    lines = problems({f"x{number}": 1 for number in range(20_000)})
    assert len(lines) == 101
    assert lines[99].startswith("x99: unknown field; ")
    assert lines[100] == "and there are more mistakes than the 100 that are named here"
    assert len(problems({f"x{number}": 1 for number in range(100)})) == 100


def test_all_crosses_together_are_bounded():
    """A small definition cannot make a device hold millions of names."""
    table = edited({"questions[5]": {"id": "m1", "number": "orders_90d", "edges": list(range(254))}})
    table["questions"] += [{**table["questions"][5], "id": "m2"}]
    table["questions"] += [{"id": f"c{number}", "cross": ["m1", "m2"]} for number in range(6)]
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(table)
    said = "all crosses together must have at most 262,144 combinations"
    assert str(caught.value).splitlines() == [f"questions[{index}] (c{index - 7}).cross: {said}" for index in (11, 12)]


def test_a_wrong_question_does_not_move_the_places_of_others():
    """Which questions are asked and crossed is told from what was written, whatever else is wrong."""
    assert problems({"questions[0].segments[0].when": "x", "questions[2].only_crossed": True}) == [
        (
            "questions[0] (frequency).segments[0] (none).when: "
            "unknown signal 'x'; known: favourite, idle_days, orders_90d, spend_90d"
        ),
        "questions[2] (affinity).only_crossed: is true, but no question crosses this one",
    ]
    assert problems({"questions": [{"id": "q", "segments": SEGMENTS, "only_crossed": True}]}) == [
        "privacy.questions_per_device: must be at most the number of questions that are asked, 0, got 1",
        "questions[0] (q).only_crossed: is true, but no question crosses this one",
    ]


@pytest.mark.parametrize("definition", [None, 7, "survey", ["id"], [("id", "x")]])
def test_a_definition_that_is_no_table_is_refused(definition):
    """What a collector sends in the place of a survey is not read further."""
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(definition)
    assert str(caught.value).splitlines() == [f"must be a table, got {definition!r}"]


def test_what_is_nested_without_end_is_refused():
    """Depth is bounded before anything walks the definition by recursion."""
    bottomless = []
    for _ in range(100_000):
        bottomless = [bottomless]
    for definition, place in (
        ({"title": bottomless}, f"title{'[0]' * 15}"),
        ({"questions": [{"a": {"b\n": bottomless}}]}, f"questions[0].a.'b\\n'{'[0]' * 12}"),
    ):
        with pytest.raises(SurveyError) as caught:
            Survey.from_resolved(definition)
        assert str(caught.value) == f"{place}: must be nested at most 16 deep"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id", "is not TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        ("id = 1\nid = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 7)"),
        ("[" * 5000, "is not TOML: Invalid initial character for a key part (at line 1, column 3)"),
        ("id = " + "[" * 5000, "is not TOML that can be read: it is nested too deep or holds too long a number"),
        ("id = " + "1" * 5000, "is not TOML that can be read: it is nested too deep or holds too long a number"),
        ("id = 0x" + "f" * 5000, "id: must be an integer of at most 64 bits"),
    ],
)
def test_what_is_not_toml_is_refused(text, problem):
    """The parser's message names the line; what it cannot bear is refused in one line as well."""
    with pytest.raises(SurveyError) as caught:
        Survey.parse(text)
    assert str(caught.value) == problem


def test_the_edges_of_every_range_are_inside():
    """The least and the most of what is allowed make a survey."""
    low = Survey.from_resolved(
        edited(
            {
                "id": "a", "title": "t", "starts": date(2000, 1, 3), "ends": "2000-01-09", "retention_days": 1,
                "min_reports": 1, "privacy.epsilon": 0.01, "privacy.answers_every": 1, "cohorts": GONE,
            }
        )
    )  # fmt: skip
    assert low.answers == low.epochs == 1
    assert low.all_cohorts() == [{}]
    high = Survey.from_resolved(
        edited(
            {
                "id": "a" * 64, "version": 10**6, "title": "é" * 200, "purpose": "x" * 2000, "epoch": "day",
                "ends": date(2027, 11, 2), "retention_days": 3660, "min_reports": 10**9, "privacy.epsilon": 8,
                "privacy.answers_every": 366, "privacy.questions_per_device": 4, "cohorts.platform": FIFTY,
                "signals.spend_90d.days": 3660, "questions[4].edges": [-1e15, -0.0, 10**15],
            }
        )
    )  # fmt: skip
    assert high.answers == 1
    assert high.lifetime_epsilon == 32
    assert high.longest_window == 3660
    assert high.question("basket").segments == ("-1e+15-0", "0-1e+15", "1e+15+", "none")


@pytest.mark.parametrize(
    ("segments", "ids"),
    [
        ([{"id": "yes", "when": "idle_days < 30"}, {"id": "no"}], ("yes", "no")),
        ([{"id": "yes", "when": "idle_days < 30"}], ("yes", "other")),
        ([{"id": "yes", "when": "idle_days < 30"}, {"id": "other"}], ("yes", "other")),
    ],
)
def test_without_a_last_segment_for_the_rest_other_is_added(segments, ids):
    """Every customer is in a segment."""
    survey = Survey.from_resolved(edited({"questions[1].segments": segments}))
    assert survey.question("returned").segments == ids


def test_of_many_names_the_first_are_told():
    known = "; known: " + ", ".join(f"n{number:03}" for number in range(20)) + ", and 80 more"
    assert did_you_mean("other", [f"n{number:03}" for number in range(100)]) == known
