"""Reading a survey: the message for every mistake in its questions and their mechanisms."""

import pytest

GONE = ...  # removes a field
MECHANISMS = "affine, auto, direct, oue, projective, rappor, subset, sue"
IDENTIFIER = "must be 1 to 64 characters of a-z, 0-9, '_', '-' and '.', starting with a letter or digit"
EPSILON = "must be a number between 0.01 and 8"
SEGMENTS = [{"id": "a", "when": "orders_90d == 0"}, {"id": "b"}]

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
    (
        {"questions[4].id": "affinity"},
        "questions[4] (affinity).id: must be unique, but questions[2] has the id 'affinity', too",
    ),
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
        "questions[2] (affinity).only_crossed: is true, but no question crosses this one; remove it, or add a cross",
    ),
    (
        {"questions[3].only_crossed": True},
        (
            "questions[3] (frequency_x_returned).only_crossed: "
            "is true, but no question crosses this one; remove it, or add a cross"
        ),
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
        "questions[0] (frequency).segments[1] (none).id: must be unique, but segments[0] has the id 'none', too",
    ),
    (
        {"questions[0].segments[1].when": GONE},
        "questions[0] (frequency).segments[1] (once).when: is missing; only the last segment may be without a rule",
    ),
    *(
        (
            {"questions[0].segments[1].when": value},
            f"questions[0] (frequency).segments[1] (once).when: must be a rule in quotes, got {value!r}",
        )
        for value in (True, 7, None, ["x"])
    ),
    (
        {"questions[0].segments[1].when": "orders_90d"},
        "questions[0] (frequency).segments[1] (once).when: must be true or false, but is a number",
    ),
    (
        {"questions[0].segments[1].when": "9**9**9 > 1"},
        "questions[0] (frequency).segments[1] (once).when: must not contain a power (**)",
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
            "the segment 'other' is added for the remaining customers, but its id is taken; "
            "rename that segment, or remove 'when' from the last segment"
        ),
    ),
    (
        {"questions[1].segments": [{"id": "all"}]},
        "questions[1] (returned).segments: must have a segment with 'when'; now every customer is in 'all'",
    ),
]

CATEGORIES = [
    (
        {"questions[2].one_of": 7},
        "questions[2] (affinity).one_of: must be a string of 1 to 500 printable characters, got 7",
    ),
    (
        {"questions[2].one_of": "orders_90d"},
        "questions[2] (affinity).one_of: must name a signal with top, got 'orders_90d'; known: favourite",
    ),
    (
        {"questions[2].one_of": "favorite"},
        "questions[2] (affinity).one_of: must name a signal with top, got 'favorite'; did you mean 'favourite'?",
    ),
    ({"signals.favourite": GONE}, "questions[2] (affinity).one_of: must name a signal with top, got 'favourite'"),
    ({"questions[2].categories": GONE}, "questions[2] (affinity).categories: is missing"),
    (
        {"questions[2].categories": "books"},
        "questions[2] (affinity).categories: must be a list of 1 to 65,535 strings, got 'books'",
    ),
    (
        {"questions[2].categories[0]": 1},
        "questions[2] (affinity).categories[0]: must be a string of 1 to 100 printable characters, got 1",
    ),
    (
        {"questions[2].categories[2]": "books"},
        "questions[2] (affinity).categories[2]: 'books' is already in the list; remove the duplicate",
    ),
    (
        {"questions[2].categories[1]": "other"},
        "questions[2] (affinity).categories: 'other' is always added; remove it from the list",
    ),
]

SCALES = [
    ({"questions[4].number": 7}, "questions[4] (basket).number: must be a rule in quotes, got 7"),
    ({"questions[4].number": "spend_90d > 1"}, "questions[4] (basket).number: must be a number, but is true or false"),
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
    (
        {"questions[4].edges": [0, 20, 20]},
        "questions[4] (basket).edges: must be in ascending order without duplicates, got [0, 20, 20]",
    ),
    (
        {"questions[4].edges": [5, 0]},
        "questions[4] (basket).edges: must be in ascending order without duplicates, got [5, 0]",
    ),
    (
        {"questions[4].edges": [0.1 + 0.2, 0.3 + 2e-16, 1]},
        "questions[4] (basket).edges: must differ within 15 significant digits, which name the segments",
    ),
    ({"questions[4].otherwise": "No!"}, f"questions[4] (basket).otherwise: {IDENTIFIER}, got 'No!'"),
    (
        {"questions[4].otherwise": "20-50"},
        "questions[4] (basket).otherwise: '20-50' is the name of a segment between edges; choose another name",
    ),
]

MANY = {"edges": list(range(300)), "number": "orders_90d"}
CROSSES = [
    (
        {"questions[3].cross": "frequency"},
        "questions[3] (frequency_x_returned).cross: must be a list of 2 to 8 strings, got 'frequency'",
    ),
    (
        {"questions[3].cross": ["frequency"], "questions[1].only_crossed": False},
        "questions[3] (frequency_x_returned).cross: must be a list of 2 to 8 strings, got ['frequency']",
    ),
    (
        {"questions[3].cross": ["returned", "returned"]},
        "questions[3] (frequency_x_returned).cross[1]: 'returned' is already in the list; remove the duplicate",
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
        "questions[3] (frequency_x_returned).cross[0]: 'frequency_x_returned' is a cross, too; "
        "list the questions that it crosses",
    ),
    (
        {"questions[3].segments": SEGMENTS, "questions[3].otherwise": "x"},
        ("questions[3] (frequency_x_returned): a question with 'cross' must not have segments, one_of or number"),
    ),
    (
        {"questions[3].edges": [1]},
        (
            "questions[3] (frequency_x_returned).edges: "
            "unknown field; known: cross, epsilon, epsilon_permanent, id, mechanism, only_crossed, title"
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
        "questions[7] (both).cross: two combinations have the same name; remove ' & ' from the names of categories",
    ),
]

NAMED = "must be a name, or a table with a name and parameters"
MECHANISM = [
    *(
        ({"questions[0].mechanism": value}, f"questions[0] (frequency).mechanism: {NAMED}, got {value!r}")
        for value in (7, None, [], {}, {"name": 7}, {"w": 3}, True)
    ),
    *(
        (
            {"questions[0].mechanism": value},
            "questions[0] (frequency).mechanism: unknown mechanism 'dirct'; did you mean 'direct'?",
        )
        for value in ("dirct", {"name": "dirct", "w": 1})
    ),
    (
        {"questions[0].mechanism": "best"},
        f"questions[0] (frequency).mechanism: unknown mechanism 'best'; known: {MECHANISMS}",
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
        "questions[0] (frequency).mechanism: symbols of direct must be the derived value 4, got 5; "
        "leave symbols out to derive it",
    ),
    (
        {"questions[0].mechanism": {"name": "direct", "symbols": 2**70}},
        "questions[0] (frequency).mechanism.symbols: must be an integer of at most 64 bits",
    ),
    (
        {"questions[0].mechanism": {"name": "subset", "w": "1"}},
        "questions[0] (frequency).mechanism: w of subset must be an integer, got '1'",
    ),
    (
        {"questions[0].mechanism": "rappor"},
        "questions[0] (frequency).mechanism: rappor needs the parameters k, h, m, f, p, q; k is missing",
    ),
]

CASES = [*QUESTIONS, *CONDITIONS, *CATEGORIES, *SCALES, *CROSSES, *MECHANISM]


@pytest.mark.parametrize(("changes", "problem"), CASES)
def test_one_mistake_is_one_line(changes, problem, problems):
    """The line states the place, the requirement, the given value and, if useful, what to do."""
    assert problems(changes) == [problem]
