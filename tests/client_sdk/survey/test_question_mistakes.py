"""Reading a survey: mistakes in its questions and their mechanisms."""

import pytest

GONE = ...  # takes a field away
MECHANISMS = "affine, auto, direct, oue, projective, rappor, subset, sue"
IDENTIFIER = "must be 1 to 64 of a-z, 0-9, '_', '-', '.', beginning with a letter or digit"
EPSILON = "must be a number, at least 0.01 and at most 8"
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

CASES = [*QUESTIONS, *CONDITIONS, *CATEGORIES, *SCALES, *CROSSES, *MECHANISM]


@pytest.mark.parametrize(("changes", "problem"), CASES)
def test_one_mistake_is_one_line_with_its_place_and_what_was_required(changes, problem, problems):
    """Every check of the contract: the place, the requirement and what came, and nothing else."""
    assert problems(changes) == [problem]
