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

EXAMPLE = resources.files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8")
PERMANENT = EXAMPLE.replace('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3')


@pytest.fixture(scope="module", params=["fresh", "permanent"])
def survey(request):
    return Survey.parse(EXAMPLE if request.param == "fresh" else PERMANENT)


def over_the_wire(survey):
    return json.loads(json.dumps(survey.resolved))


def reversed_fields(value):
    """The same tables with their fields in reverse order. Lists are unchanged."""
    if isinstance(value, dict):
        return {key: reversed_fields(value[key]) for key in reversed(value)}
    return [reversed_fields(one) for one in value] if isinstance(value, list) else value


def as_floats(value):
    """The same definition, with floats in all fields that accept any number."""
    if isinstance(value, dict):
        return {key: float(one) if key.startswith("epsilon") else as_floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [float(one) if isinstance(one, int) else as_floats(one) for one in value]
    return value


def test_the_resolved_definition_reads_as_the_same_survey(survey):
    """The collector serves the resolved definition. It gives an equal survey with the same digest."""
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
    """The digest ignores 1 or 1.0, defaults that are written or left out, and the spelling of the file."""
    changed = change(EXAMPLE)
    assert changed != EXAMPLE
    assert Survey.parse(changed).digest == Survey.parse(EXAMPLE).digest
    assert Survey.parse(changed) == Survey.parse(EXAMPLE)
    assert hash(Survey.parse(changed)) == hash(Survey.parse(EXAMPLE))


def test_the_digest_ignores_the_order_of_fields_and_the_type_of_numbers(survey):
    """Another program may write the definition with its tables in another order."""
    for rewritten in (reversed_fields(over_the_wire(survey)), as_floats(over_the_wire(survey))):
        assert Survey.from_resolved(rewritten) == survey
        assert Survey.from_resolved(rewritten).digest == survey.digest


def test_a_digest_has_64_hex_digits_and_is_stable(survey):
    """Parsing twice gives the same digest. Fresh and permanent memory have different digests."""
    assert Survey.from_resolved(over_the_wire(survey)).digest == survey.digest
    assert len(bytes.fromhex(survey.digest)) == 32
    assert Survey.parse(EXAMPLE).digest != Survey.parse(PERMANENT).digest


def test_a_survey_may_be_the_key_of_a_dictionary():
    """An equal survey finds the entry, and a different one does not."""
    found = {Survey.parse(EXAMPLE): "fresh", Survey.parse(PERMANENT): "permanent"}
    assert (len(found), found[Survey.parse(EXAMPLE)]) == (2, "fresh")


def leaves(value, path=()):
    """The path and value of every field that is neither a table nor a list."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    else:
        yield path, value


def put(table, path, value):
    table = copy.deepcopy(table)
    node = table
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return table


OTHER_VALUES = {  # another value with which the survey is still valid
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
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    if isinstance(value, str):
        return value + "x"
    return value + 1


def test_a_change_of_any_field_changes_the_digest_or_is_refused(survey):
    """Changes every value of the resolved definition, one after the other. No field may be ignored."""
    resolved = over_the_wire(survey)
    accepted, refused = set(), set()
    for path, value in leaves(resolved):
        key = next(step for step in reversed(path) if isinstance(step, str))
        other = other_value(key, value)
        if other is None:
            continue
        try:
            changed = Survey.from_resolved(put(resolved, path, other))
        except SurveyError:
            refused.add(key)
        else:
            accepted.add(key)
            assert changed.digest != survey.digest, path
            assert changed != survey, path
            assert differences(survey.resolved, changed.resolved) != [], path
    assert {
        "id", "version", "title", "purpose", "owner", "starts", "ends", "epoch", "retention_days", "min_reports",
        "answers_every", "questions_per_device", "platform", "count", "sum", "days_since", "top", "days", "when",
        "number", "categories", "edges", "otherwise",
    } <= accepted  # fmt: skip
    assert not {"symbols", "weights", "name"} & accepted


def test_a_manipulated_mechanism_is_refused(survey):
    """Name, parameters, symbols and sampled integers must follow from the epsilon. Nothing is trusted."""
    resolved = over_the_wire(survey)
    changes = 0
    for index, question in enumerate(resolved["questions"]):
        for path, value in leaves(question["mechanism"]):
            other = f"{value}0" if isinstance(value, str) else value + 1
            with pytest.raises(SurveyError) as caught:
                Survey.from_resolved(put(resolved, ("questions", index, "mechanism", *path), other))
            assert {problem.place for problem in caught.value.problems} == {
                f"questions[{index}] ({question['id']}).mechanism"
            }
            changes += 1
        for epsilon in (question["epsilon"] / 2, question["epsilon"] * 1.25):
            with pytest.raises(
                SurveyError, match=rf"questions\[{index}\] \({question['id']}\).mechanism: .* derived value .*"
            ):
                Survey.from_resolved(put(resolved, ("questions", index, "epsilon"), epsilon))
        with pytest.raises(SurveyError, match=rf"questions\[{index}\] \({question['id']}\).mechanism: .* got 'seed'"):
            Survey.from_resolved(put(resolved, ("questions", index, "mechanism", "seed"), 1))
    assert changes >= 3 * len(resolved["questions"])


@pytest.mark.parametrize(
    ("changes", "epochs", "answers", "epsilon"),
    [
        ([], 26, 3, 3.0),
        ([("answers_every = 9", "answers_every = 1")], 26, 26, 26.0),
        ([("answers_every = 9", "answers_every = 26")], 26, 1, 1.0),
        ([("questions_per_device = 1", "questions_per_device = 2")], 26, 3, 6.0),
        ([("questions_per_device = 1", "questions_per_device = 2"), ("edges", "epsilon = 2\nedges")], 26, 3, 9.0),
        ([('epoch = "week"', 'epoch = "day"')], 182, 21, 21.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3')], 26, 3, 6.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 0')], 26, 3, 2.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 20')], 26, 3, 6.0),
        ([('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 1'),
          ("edges", "epsilon_permanent = 5\nedges")], 26, 3, 10.0),
        ([("edges", "epsilon = 2\nedges"), ('id = "returned"', 'id = "returned"\nepsilon = 8')], 26, 3, 6.0),
    ],
)  # fmt: skip
def test_the_lifetime_epsilon_follows_from_the_survey(changes, epochs, answers, epsilon):
    """The largest number of answers times the largest epsilons. Questions that are only crossed do not count."""
    text = EXAMPLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    survey = Survey.parse(text)
    assert (survey.epochs, survey.answers, survey.lifetime_epsilon) == (epochs, answers, epsilon)


def test_a_survey_derives_its_questions_days_and_windows():
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
def test_a_device_has_one_declared_value_for_every_cohort(cohort, problem):
    """The message names the cohort, but does not repeat the given value."""
    assert Survey.parse(EXAMPLE).cohort_problem(cohort) == problem


def test_a_survey_without_cohorts_accepts_none():
    """Nothing can be sent in the clear."""
    table = tomllib.loads(EXAMPLE)
    del table["cohorts"]
    survey = Survey.from_resolved(table)
    assert survey.cohort_problem({}) is None
    assert survey.cohort_problem({"platform": "web"}) == "must give exactly the declared cohorts (none)"


def test_a_survey_is_frozen():
    """Every party interprets the same data."""
    with pytest.raises(FrozenInstanceError):
        Survey.parse(EXAMPLE).version = 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is not a UTF-8 text file"),
        (EXAMPLE.encode("utf-16"), "is not a UTF-8 text file"),
        (b"id = ", "is not valid TOML: Invalid value (at end of document)"),
    ],
)
def test_an_unreadable_file_is_a_survey_error(tmp_path, content, problem):
    """The line starts with the path and states the reason. `problems` contains the reason without the path."""
    path = tmp_path / "survey.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurveyError) as caught:
        Survey.load(path)
    assert str(caught.value) == f"{path}: {problem}"
    assert [str(one) for one in caught.value.problems] == [problem]


def test_every_mistake_in_a_file_starts_with_its_path(tmp_path):
    path = tmp_path / "survey.toml"
    path.write_text(EXAMPLE.replace("version = 1", "version = 0").replace("min_reports = 500", "min_reports = 0"))
    with pytest.raises(SurveyError) as caught:
        Survey.load(path)
    assert str(caught.value).splitlines() == [f"{path}: {problem}" for problem in caught.value.problems]
    assert [problem.place for problem in caught.value.problems] == ["version", "min_reports"]


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    """Editors may write a byte order mark, or other line ends."""
    path = tmp_path / "survey.toml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert Survey.load(path) == Survey.load(str(path)) == Survey.parse(EXAMPLE)
    with pytest.raises(SurveyError, match=r": cannot be read: Is a directory$"):
        Survey.load(tmp_path)
