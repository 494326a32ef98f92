import copy
import json
import random
import string
import time
import tomllib
from datetime import date, datetime
from datetime import time as time_of_day
from importlib import resources

import pytest

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey

MOST_SECONDS = 60  # CPU time: thousands of times what is needed, so that only an endless search exceeds it
EXAMPLE = resources.files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8")
VALUES = [
    None, True, False, 0, 1, -1, 2, 64, 366, 10**6, 2**53, 2**63 - 1, 2**63, -(2**63), 10**5000, 0.0, -0.0, 0.5,
    8.0, 1e15, 1e300, float("inf"), float("-inf"), float("nan"), "", " ", "a", "other", "frequency", "returned",
    "favourite", "auto", "direct", "subset", "affine", "projective", "sue", "oue", "rappor", "permanent", "fresh",
    "month", "day", "x" * 10_000, "\ud800", "a\nb", "\x00", "\u202e", "orders_90d == 0", "orders_90d", "9**9**9",
    "(" * 400, "-" * 499 + "orders_90d", "2026-11-02", "9999-12-31", "0001-01-01", date(1, 1, 1),
    date(9999, 12, 31), date(2026, 11, 30), datetime(2026, 11, 2), time_of_day(1), [], {}, [[]], [{}], {"": {}},
    [None], ["a", "a"], ["frequency", "returned"], [0, 1, 2], [1, 0], [0.1] * 3, {"id": "x"}, {"name": "direct"},
    {"name": "subset", "w": 2}, {"name": "rappor", "k": 8, "h": 2, "m": 4, "f": 0.5, "p": 0.25, "q": 0.75},
    {"name": "rappor", "k": 52, "h": 52, "m": 10**9, "f": 1e-300, "p": 0, "q": 1}, {"count": "a", "days": 1},
    {"name": "projective", "order": 7}, {"name": "affine", "order": 2**62}, [{"id": "a", "when": "True"}],
    [{"id": "a"}] * 3,
]  # fmt: skip
NAMES = ["id", "epsilon", "epsilon_permanent", "changes", "memory", "segments", "one_of", "categories", "number",
         "edges", "otherwise", "cross", "only_crossed",
         "mechanism", "when", "count", "top", "days", "name", "w", "", "a b",
         "\n", "x" * 200]  # fmt: skip


def containers(value):
    """Every table and list of the definition that is not empty."""
    if isinstance(value, dict | list) and value:
        yield value
        for one in value.values() if isinstance(value, dict) else value:
            yield from containers(one)


def mutate(table, source):
    """Replaces, deletes, duplicates or adds one random node."""
    spot = source.choice(list(containers(table)))
    key = source.choice(list(spot) if isinstance(spot, dict) else range(len(spot)))
    match source.randrange(6):
        case 0 | 1 | 2:
            spot[key] = copy.deepcopy(source.choice(VALUES))
        case 3:
            del spot[key]
        case 4:
            other = copy.deepcopy(spot[key])
            if isinstance(spot, list):
                spot.insert(source.randrange(len(spot) + 1), other)
            else:
                spot[source.choice([*spot, *NAMES])] = other
        case _:
            if isinstance(spot, dict):
                spot[source.choice(NAMES)] = copy.deepcopy(source.choice(VALUES))
            else:
                spot *= source.choice([1, 2, 30])


def usable_or_refused(read):
    """Whether `read` returns a usable survey. The only permitted error is a SurveyError with short lines."""
    try:
        survey = read()
    except SurveyError as error:
        wrong = error
    else:
        return usable(survey)
    lines = str(wrong).split("\n")
    assert len(lines) == len(wrong.problems) > 0
    assert all(line.isprintable() and len(line) < 1500 for line in lines), lines
    return False


def usable(survey):
    """Whether the survey can be served, read back and answered."""
    again = Survey.from_resolved(json.loads(json.dumps(survey.resolved)))
    assert again == survey
    assert again.digest == survey.digest
    assert survey.lifetime_epsilon > 0
    assert len(survey.all_cohorts()) >= 1
    for question in survey.questions:
        assert len(set(question.segments)) == len(question.segments) >= 2
        for signals in ({}, {"orders_90d": 1, "spend_90d": 30.0, "idle_days": float("inf"), "favourite": "music"}):
            assert 0 <= question.form.value(signals) < len(question.segments)
        assert question.mechanism.epsilon <= question.epsilon
    return True


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_a_randomly_damaged_definition_is_refused_or_usable(memory):
    """Nodes are replaced, deleted or repeated. The result is SurveyError, or a survey that works."""
    source = random.Random(memory)
    sound = tomllib.loads(EXAMPLE)
    if memory == "permanent":
        sound["privacy"] |= {"memory": "permanent", "epsilon_permanent": 2.0, "changes": 1}
    resolved = json.loads(json.dumps(Survey.from_resolved(sound).resolved))
    accepted = 0
    for _ in range(2000):
        table = copy.deepcopy(source.choice([sound, resolved]))
        for _ in range(source.choice([1, 1, 1, 2, 5])):
            mutate(table, source)
        began = time.process_time()
        accepted += usable_or_refused(lambda table=table: Survey.from_resolved(table))
        assert time.process_time() - began < MOST_SECONDS
    assert 50 < accepted < 1500


def test_a_randomly_damaged_file_is_refused_or_usable():
    """Bytes of the file are changed, deleted or repeated. The result is SurveyError, or a survey that works."""
    source = random.Random(7)
    accepted = 0
    for _ in range(2000):
        text = EXAMPLE
        for _ in range(source.choice([1, 1, 3])):
            at = source.randrange(len(text))
            to = at + source.randrange(30)
            match source.randrange(4):
                case 0:
                    text = text[:at] + source.choice(string.printable + "\x00é\u202e\ufeff") + text[at + 1 :]
                case 1:
                    text = text[:at] + text[to:]
                case 2:
                    text = text[:to] + text[at:]
                case _:
                    text = text[:at] + source.choice(['"', "'", '"""', *"[{}=\n", "0x", "1e"]) + text[at:]
        accepted += usable_or_refused(lambda text=text: Survey.parse(text))
    assert 50 < accepted < 1500
