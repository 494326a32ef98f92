import copy
import json
import tomllib
from dataclasses import FrozenInstanceError
from datetime import date
from importlib import resources

import pytest

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import differences

EXAMPLE = resources.files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")
PERMANENT = EXAMPLE.replace('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3')


@pytest.fixture(scope="module", params=["fresh", "permanent"])
def survey(request):
    return Survey.parse(EXAMPLE if request.param == "fresh" else PERMANENT)


def over_the_wire(survey):
    return json.loads(json.dumps(survey.resolved))


def turned(value):
    """The same tables with their fields in the opposite order; lists as they are."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


def as_floats(value):
    """The same numbers as floats where the survey takes any number."""
    if isinstance(value, dict):
        return {key: float(one) if key.startswith("epsilon") else as_floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [float(one) if isinstance(one, int) else as_floats(one) for one in value]
    return value


def test_the_resolved_definition_states_the_same_survey(survey):
    """What the collector serves, read again, is the survey: equal, with the same digest and the same answers."""
    again = Survey.from_resolved(over_the_wire(survey))
    assert again == survey
    assert again.digest == survey.digest
    assert again.resolved == survey.resolved
    assert [one.mechanism for one in again.questions] == [one.mechanism for one in survey.questions]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("epsilon = 1.0", "epsilon = 1"),
        lambda text: text.replace("edges = [0, 20, 50, 100, 200]", "edges = [-0.0, 20.0, 5e1, 100, 2.0e2]"),
        lambda text: text.replace("starts = 2026-11-02", 'starts = "2026-11-02"'),
        lambda text: text.replace('epoch = "week"', ""),
        lambda text: text.replace("questions_per_device = 1", ""),
        lambda text: text.replace('  { id = "heavy" },', "  { id = 'heavy' } # the rest\n").replace("\n", "\r\n"),
        lambda text: text.replace('otherwise = "none"', 'otherwise = "none"\nepsilon = 1.0\nmechanism = "auto"'),
    ],
)
def test_the_same_meaning_has_the_same_digest(change):
    """1 or 1.0, a default written out or left out, another spelling: the digest is of what the survey means."""
    changed = change(EXAMPLE)
    assert changed != EXAMPLE
    assert Survey.parse(changed).digest == Survey.parse(EXAMPLE).digest
    assert Survey.parse(changed) == Survey.parse(EXAMPLE)
    assert hash(Survey.parse(changed)) == hash(Survey.parse(EXAMPLE))


def test_the_order_of_fields_and_the_type_of_numbers_do_not_enter_the_digest(survey):
    """A definition that another program wrote again, with its tables in another order, is the same survey."""
    for rewritten in (turned(over_the_wire(survey)), as_floats(over_the_wire(survey))):
        assert Survey.from_resolved(rewritten) == survey
        assert Survey.from_resolved(rewritten).digest == survey.digest


def test_a_digest_is_64_hex_digits_and_stable(survey):
    """Parsed twice, the digest is one; fresh and permanent memory are two surveys."""
    assert Survey.from_resolved(over_the_wire(survey)).digest == survey.digest
    assert len(bytes.fromhex(survey.digest)) == 32
    assert Survey.parse(EXAMPLE).digest != Survey.parse(PERMANENT).digest


def test_a_survey_may_be_a_key():
    """Of a dictionary or in a set: another that is equal finds it, one that differs does not."""
    found = {Survey.parse(EXAMPLE): "fresh", Survey.parse(PERMANENT): "permanent"}
    assert (len(found), found[Survey.parse(EXAMPLE)]) == (2, "fresh")


def leaves(value, way=()):
    """Every way to a value that is no table and no list."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*way, key))
    else:
        yield way, value


def put(table, way, value):
    table = copy.deepcopy(table)
    spot = table
    for step in way[:-1]:
        spot = spot[step]
    spot[way[-1]] = value
    return table


SENSIBLE = {  # another value of which the survey is still sound
    "starts": "2026-11-09",
    "ends": "2027-05-09",
    "epoch": "day",
    "when": "orders_90d == 3",
    "number": "spend_90d",
    "one_of": None,
    "memory": None,
    "count": "visit",
    "sum": "purchase.price",
    "days_since": "visit",
    "top": "purchase.brand",
    "only_crossed": None,
    "epsilon": 0.5,
    "epsilon_permanent": 3.0,
}


def other_value(key, value):
    if key in SENSIBLE:
        return SENSIBLE[key]
    if isinstance(value, str):
        return value + "x"
    return value + 1


def test_a_change_of_any_field_changes_the_digest_or_is_refused(survey):
    """Every value of the resolved definition, changed in turn: another survey, or none. No field is left out."""
    resolved = over_the_wire(survey)
    accepted, refused = set(), set()
    for way, value in leaves(resolved):
        key = next(step for step in reversed(way) if isinstance(step, str))
        other = other_value(key, value)
        if other is None:
            continue
        try:
            changed = Survey.from_resolved(put(resolved, way, other))
        except SurveyError:
            refused.add(key)
        else:
            accepted.add(key)
            assert changed.digest != survey.digest, way
            assert changed != survey, way
            assert differences(survey.resolved, changed.resolved) != [], way
    assert {
        "id", "version", "title", "purpose", "owner", "starts", "ends", "epoch", "retention_days", "min_reports",
        "answers_every", "questions_per_device", "platform", "count", "sum", "days_since", "top", "days", "when",
        "number", "categories", "edges", "otherwise",
    } <= accepted  # fmt: skip
    assert not {"symbols", "weights", "name"} & accepted


def test_a_resolved_mechanism_that_was_tampered_with_is_refused(survey):
    """Name, parameters, symbols and sampled integers must be what follows from the epsilon: nothing is believed."""
    resolved = over_the_wire(survey)
    tried = 0
    for index, question in enumerate(resolved["questions"]):
        for way, value in leaves(question["mechanism"]):
            other = f"{value}0" if isinstance(value, str) else value + 1
            with pytest.raises(SurveyError) as caught:
                Survey.from_resolved(put(resolved, ("questions", index, "mechanism", *way), other))
            assert {problem.place for problem in caught.value.problems} == {
                f"questions[{index}] ({question['id']}).mechanism"
            }
            tried += 1
        for epsilon in (question["epsilon"] / 2, question["epsilon"] * 1.25):
            with pytest.raises(
                SurveyError, match=rf"questions\[{index}\] \({question['id']}\).mechanism: .* as derived"
            ):
                Survey.from_resolved(put(resolved, ("questions", index, "epsilon"), epsilon))
        with pytest.raises(SurveyError, match=rf"questions\[{index}\] \({question['id']}\).mechanism: .* got 'seed'"):
            Survey.from_resolved(put(resolved, ("questions", index, "mechanism", "seed"), 1))
    assert tried >= 3 * len(resolved["questions"])


@pytest.mark.parametrize(
    ("changes", "epochs", "answers", "epsilon"),
    [
        ([], 26, 7, 7.0),
        ([("answers_every = 4", "answers_every = 1")], 26, 26, 26.0),
        ([("answers_every = 4", "answers_every = 26")], 26, 1, 1.0),
        ([("questions_per_device = 1", "questions_per_device = 2")], 26, 7, 14.0),
        ([("questions_per_device = 1", "questions_per_device = 2"), ("edges", "epsilon = 2\nedges")], 26, 7, 21.0),
        ([('epoch = "week"', 'epoch = "day"')], 182, 46, 46.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3')], 26, 7, 8.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 0')], 26, 7, 2.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 20')], 26, 7, 14.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 1'),
          ("edges", "epsilon_permanent = 5\nedges")], 26, 7, 10.0),
        ([("edges", "epsilon = 2\nedges"), ('id = "returned"', 'id = "returned"\nepsilon = 8')], 26, 7, 14.0),
    ],
)  # fmt: skip
def test_the_lifetime_epsilon_is_derived(changes, epochs, answers, epsilon):
    """The most that a device can answer, at the most revealing questions that are asked; crossed ones apart are not."""
    text = EXAMPLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    survey = Survey.parse(text)
    assert (survey.epochs, survey.answers, survey.lifetime_epsilon) == (epochs, answers, epsilon)


def test_a_survey_knows_its_questions_days_and_windows():
    """What is asked, by which id, when it runs, what it keeps and when it forgets."""
    survey = Survey.parse(EXAMPLE)
    assert survey.name == "shopping-habits v1"
    assert [question.id for question in survey.asked] == ["frequency", "affinity", "frequency_x_returned", "basket"]
    assert survey.question("returned").only_crossed
    with pytest.raises(KeyError):
        survey.question("nothing")
    assert survey.longest_window == 365
    assert (
        Survey.parse(
            EXAMPLE.split("[cohorts]")[0] + '[[questions]]\nid="q"\nsegments=[{id="a",when="True"}]'
        ).longest_window
        == 1
    )
    days = map(date.fromisoformat, ("2026-11-01", "2026-11-02", "2027-05-02", "2027-05-03"))
    assert [survey.runs(day) for day in days] == [
        False, True, True, False,
    ]  # fmt: skip
    assert survey.accepted_until(date(2026, 11, 4)) == date(2026, 11, 15)
    assert survey.erased_on("2026-W45") == date(2027, 5, 15)
    assert survey.all_cohorts() == [{"platform": "web"}, {"platform": "ios"}, {"platform": "android"}]
    assert not survey.permanent


@pytest.mark.parametrize(
    ("cohort", "problem"),
    [
        ({"platform": "web"}, None),
        ({}, "must give exactly the declared cohorts (platform)"),
        ({"platform": "web", "user": "me"}, "must give exactly the declared cohorts (platform)"),
        (None, "must give exactly the declared cohorts (platform)"),
        ("web", "must give exactly the declared cohorts (platform)"),
        ({"platform": "Web"}, "platform must be one of web, ios, android"),
        ({"platform": 1}, "platform must be one of web, ios, android"),
        ({"platform": ["web"]}, "platform must be one of web, ios, android"),
    ],
)
def test_a_cohort_is_exactly_one_declared_value_of_each(cohort, problem):
    """A cohort that is missing, one too many or undeclared is named; the value that came is not repeated."""
    assert Survey.parse(EXAMPLE).cohort_problem(cohort) == problem


def test_a_survey_without_cohorts_takes_the_empty_one_only():
    """Nothing is sent in the clear, and nothing can be."""
    table = tomllib.loads(EXAMPLE)
    del table["cohorts"]
    survey = Survey.from_resolved(table)
    assert survey.cohort_problem({}) is None
    assert survey.cohort_problem({"platform": "web"}) == "must give exactly the declared cohorts (none)"


def test_a_survey_is_frozen():
    """What every party interprets does not change under it."""
    with pytest.raises(FrozenInstanceError):
        Survey.parse(EXAMPLE).version = 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is not a text file in UTF-8"),
        (EXAMPLE.encode("utf-16"), "is not a text file in UTF-8"),
        (b"id = ", "is not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_survey_error(tmp_path, content, problem):
    """The line begins with the file; the reason is the system's or the parser's. Who prints the file has it without."""
    path = tmp_path / "survey.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurveyError) as caught:
        Survey.load(path)
    assert str(caught.value) == f"{path}: {problem}"
    assert [str(one) for one in caught.value.problems] == [problem]


def test_every_mistake_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "survey.toml"
    path.write_text(EXAMPLE.replace("version = 1", "version = 0").replace("min_reports = 500", "min_reports = 0"))
    with pytest.raises(SurveyError) as caught:
        Survey.load(path)
    assert str(caught.value).splitlines() == [f"{path}: {problem}" for problem in caught.value.problems]
    assert [problem.place for problem in caught.value.problems] == ["version", "min_reports"]


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    """Editors that write a mark, or end lines their own way, change nothing."""
    path = tmp_path / "survey.toml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert Survey.load(path) == Survey.load(str(path)) == Survey.parse(EXAMPLE)
    with pytest.raises(SurveyError, match=r": cannot be read: Is a directory$"):
        Survey.load(tmp_path)
