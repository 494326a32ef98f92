"""A context file is checked as strictly as a survey: one line for each mistake, with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from card_context import CHOSEN, PERMANENT, RATING, SURVEY, answers, as_toml, read, sample
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context, NotApplicable, context_path
from hushtally.survey.card.context_reader import MAX_TEXT, find_context, load_context
from hushtally.survey.card.field import all_fields
from hushtally.survey.card.rating import Level, Rating

LONG = "x" * MAX_TEXT
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def survey() -> Survey:
    return Survey.parse(SURVEY)


def problems(survey: Survey, table: dict[str, Any]) -> list[str]:
    with pytest.raises(SurveyError) as error:
        read(survey, table)
    return str(error.value).splitlines()


def test_every_question_can_be_answered(survey: Survey) -> None:
    """All kinds of answers arrive as they were given."""
    context = read(survey, answers(survey))
    assert context.answers.keys() == {field.key for field in all_fields()}
    assert context.answers["need"] == sample("need")
    assert context.answers["dpo_advice_on"] == date(2026, 10, 26)
    assert context.answers["keep_consent"] is False
    assert context.answers["max_lifetime_epsilon"] == 100.0
    assert {key: context.answers[key] for key in CHOSEN} == CHOSEN
    assert context.ratings["linking"].before == Rating(Level.SIGNIFICANT, Level.SIGNIFICANT)
    assert context.ratings["linking"].after == Rating(Level.LIMITED, Level.LIMITED)


def test_a_file_without_an_answer_is_valid(survey: Survey) -> None:
    """People begin with an empty table."""
    assert read(survey, {}) == Context()


@pytest.mark.parametrize(
    ("value", "paragraphs"),
    [
        ("one answer", ["one answer"]),
        ("  wrapped\nby its author ", ["wrapped by its author"]),
        ("first\nparagraph\n\nsecond", ["first paragraph", "second"]),
        (["Host Ltd: the collector", "Mail Ltd: letters"], ["Host Ltd: the collector", "Mail Ltd: letters"]),
    ],
)
def test_an_answer_may_have_paragraphs(survey: Survey, value: Any, paragraphs: list[str]) -> None:
    """A list has one for each string; in a string, a blank line separates them."""
    assert read(survey, {"processors": value}).answers["processors"] == "\n".join(paragraphs)


@pytest.mark.parametrize("field", [one for one in all_fields() if not one.required], ids=lambda one: one.key)
def test_a_question_that_may_not_apply_needs_the_reason(survey: Survey, field: Any) -> None:
    given = read(survey, {field.key: {"not_applicable": "There is none here."}})
    assert given.answers == {field.key: NotApplicable("There is none here.")}
    assert given.answer(field) == "Not applicable: There is none here."
    assert problems(survey, {field.key: {}}) == [f"card.{field.key}.not_applicable: is missing"]


@pytest.mark.parametrize("field", [one for one in all_fields() if one.required], ids=lambda one: one.key)
def test_a_question_that_always_applies_needs_an_answer(survey: Survey, field: Any) -> None:
    expected = f"card.{field.key}: always applies, so it needs an answer; write {field.ask}"
    assert problems(survey, {field.key: {"not_applicable": "There is none here."}}) == [expected]


@pytest.mark.parametrize("field", list(all_fields()), ids=lambda one: one.key)
def test_an_empty_answer_is_a_mistake_with_what_to_write(survey: Survey, field: Any) -> None:
    [line] = problems(survey, {field.key: ""})
    assert line.startswith(f"card.{field.key}: must not be empty; write {field.ask}")
    assert ("not_applicable" in line) is not field.required


@pytest.mark.parametrize(
    "word", ["n/a", "N/A", "none", "None.", "no", "yes", "-", "?", "TODO", "tbd", " ", "\n", "Not applicable"]
)
def test_a_word_to_get_past_a_question_is_no_answer(survey: Survey, word: str) -> None:
    [line] = problems(survey, {"transfers": word})
    assert line == (
        f'card.transfers: {word!r} is not an answer; write a sentence, or {{ not_applicable = "the reason" }}'
    )
    assert problems(survey, {"scope": word}) == [f"card.scope: {word!r} is not an answer; write a sentence"]
    expected = f"card.dpo.not_applicable: {word!r} is not an answer; write a sentence"
    assert problems(survey, {"dpo": {"not_applicable": word}}) == [expected]


ALTERNATIVE = ', or { not_applicable = "the reason" }'


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"scope": 5}, "card.scope: must be a string or a list of strings, got 5"),
        ({"dpo": True}, f"card.dpo: must be a string or a list of strings{ALTERNATIVE}, got True"),
        ({"processors": []}, f"card.processors: must be a string or a list of strings{ALTERNATIVE}, got []"),
        (
            {"processors": ["a", 3]},
            f"card.processors: must be a string or a list of strings{ALTERNATIVE}, got ['a', 3]",
        ),
        (
            {"scope": ["a"] * 101},
            "card.scope: must be a string or a list of strings, got " + repr(["a"] * 101)[:57] + "...",
        ),
        ({"scope": LONG + "x"}, f"card.scope: must have at most 10,000 printable characters, got '{LONG[:56]}..."),
        ({"scope": "a\x07b"}, "card.scope: must have at most 10,000 printable characters, got 'a\\x07b'"),
        ({"scope": "a\u202eb"}, "card.scope: must have at most 10,000 printable characters, got 'a\\u202eb'"),
        ({"device": "server"}, "card.device: must be one of 'customer', 'kiosk', 'operator', got 'server'"),
        ({"device": 3}, "card.device: must be one of 'customer', 'kiosk', 'operator', got 3"),
        (
            {"severity": "high"},
            "card.severity: must be one of 'negligible', 'limited', 'significant', 'maximum', got 'high'",
        ),
        (
            {"decision": "ok"},
            "card.decision: must be one of 'approved', 'approved with conditions', 'consult the supervisory authority',"
            " 'rejected', got 'ok'",
        ),
        (
            {"dpo_advice_followed": "mostly"},
            "card.dpo_advice_followed: must be one of 'yes', 'in part', 'no', got 'mostly'",
        ),
        ({"keep_consent": "no"}, "card.keep_consent: must be true or false, got 'no'"),
        ({"dpo_advice_on": "30.11.2026"}, "card.dpo_advice_on: must be a date like 2026-11-02, got '30.11.2026'"),
        (
            {"dpo_advice_on": "1999-01-01"},
            "card.dpo_advice_on: must be a date from 2000-01-01 to 2999-12-31, got 1999-01-01",
        ),
        ({"max_lifetime_epsilon": "8"}, "card.max_lifetime_epsilon: must be a number between 0.01 and 1000, got '8'"),
        (
            {"max_lifetime_epsilon": 1},
            "card.max_lifetime_epsilon: must be at least 2, the survey's lifetime epsilon, got 1; a device with this"
            " ceiling never answers",
        ),
        ({"author": "Ada"}, "card.author: unknown field; did you mean 'authors'?"),
        ({"dpo": {"not_aplicable": "We have none."}}, "card.dpo.not_applicable: is missing"),
        ({"review_on": "soon"}, "card.review_on: must be a date like 2026-11-02, got 'soon'"),
        ({"risks": 3}, "card.risks: must be a table, got 3"),
        ({"risks": {"linkin": RATING}}, "card.risks.linkin: unknown field; did you mean 'linking'?"),
        ({"risks": {"linking": 3}}, "card.risks.linking: must be a table, got 3"),
        (
            {"risks": {"linking": RATING | {"why": "x"}}},
            "card.risks.linking.why: unknown field; known: after, before, reason",
        ),
        (
            {"risks": {"linking": RATING | {"reason": ""}}},
            "card.risks.linking.reason: '' is not an answer; write a sentence",
        ),
        (
            {"risks": {"linking": RATING | {"before": {"likelihood": "limited", "severity": "negligible"}}}},
            "card.risks.linking.after: must not be higher than before (2), got 4",
        ),
        (
            {"risks": {"linking": RATING | {"after": {"likelihood": "limited", "severity": "grave"}}}},
            "card.risks.linking.after.severity: must be one of 'negligible', 'limited', 'significant', 'maximum', got"
            " 'grave'",
        ),
        ({"risks": {"linking": {"before": RATING["before"], "reason": "few"}}}, "card.risks.linking.after: is missing"),
        ({"other_risks": []}, "card.other_risks: must be a list of 1 to 50 tables, got []"),
        ({"other_risks": [RATING | {"risk": "a flood"}]}, "card.other_risks[0].measures: is missing"),
        ({"approval": "yes"}, "card.approval: must be a table, got 'yes'"),
        ({"approval": {"on": "2026-11-30"}}, "card.approval.digest: is missing"),
        ({"approval": {"digest": DIGEST}}, "card.approval.on: is missing"),
        (
            {"approval": {"on": "2026-11-30", "digest": "abc"}},
            "card.approval.digest: must be the digest of the card that was signed (64 digits), got 'abc'",
        ),
        (
            {"approval": {"on": "2026-11-30", "digest": DIGEST}, "review_on": "2026-11-29"},
            "card.review_on: must not be before the approval (2026-11-30), got 2026-11-29",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_with_its_place(survey: Survey, table: dict[str, Any], expected: str) -> None:
    """What was expected, what was given, and what to do."""
    lines = problems(survey, table)
    assert expected in lines
    assert all(line.isprintable() for line in lines)


def test_a_misspelt_not_applicable_is_named(survey: Survey) -> None:
    lines = problems(survey, {"dpo": {"not_aplicable": "We have none."}})
    assert lines[1] == "card.dpo.not_aplicable: unknown field; did you mean 'not_applicable'?"


def test_all_mistakes_are_found_at_once(survey: Survey) -> None:
    lines = problems(survey, {"scope": 1, "author": "x", "device": "y", "risks": {"linking": {}}})
    assert [line.partition(":")[0] for line in lines] == [
        "card.scope",
        "card.device",
        "card.risks.linking.reason",
        "card.risks.linking.before",
        "card.risks.linking.after",
        "card.author",
    ]


def test_too_many_mistakes_are_not_all_listed(survey: Survey) -> None:
    lines = problems(survey, {f"unknown{number}": 1 for number in range(200)})
    assert len(lines) == 101
    assert lines[-1] == "there are more mistakes; only the first 100 are listed"


def test_only_the_risks_of_the_survey_are_rated(survey: Survey) -> None:
    """The risk of changes exists only with permanent memory, and the risk of cohorts only with cohorts."""
    permanent = Survey.parse(PERMANENT)
    assert "changes" in read(permanent, answers(permanent)).ratings
    [line] = problems(survey, {"risks": {"changes": RATING}})
    assert line.startswith("card.risks.changes: unknown field")


def test_people_can_add_risks(survey: Survey) -> None:
    own = RATING | {"risk": "The shop is sold.", "measures": "A contract."}
    [rated] = read(survey, {"other_risks": [own]}).other_risks
    assert (rated.risk, rated.measures, rated.reason) == ("The shop is sold.", "A contract.", RATING["reason"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[card", "is not valid TOML: "),
        (b"\xff", "is not a UTF-8 text file"),
        (b"", "card: is missing"),
        (b"card = 1", "card: must be a table, got 1"),
        (b"[card]\n[crad]", "crad: unknown field; did you mean 'card'?"),
        (b"[card]\nscope = 99999999999999999999999", "card.scope: must be an integer of at most 64 bits"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(survey: Survey, tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "habits.card.toml"
    path.write_bytes(content)
    with pytest.raises(SurveyError) as error:
        load_context(path, survey)
    [line] = str(error.value).splitlines()
    assert line.startswith(f"{path}: {problem}")


@pytest.mark.parametrize(
    ("name", "beside"),
    [("habits.toml", "habits.card.toml"), ("habits.v2.toml", "habits.v2.card.toml"), ("habits", "habits.card.toml")],
)
def test_the_context_file_is_found_beside_the_survey(survey: Survey, tmp_path: Path, name: str, beside: str) -> None:
    """Its name follows from the name of the survey file."""
    assert context_path(tmp_path / name) == tmp_path / beside
    assert find_context(tmp_path / name, survey) is None
    (tmp_path / beside).write_text(as_toml(answers(survey)), encoding="utf-8")
    assert find_context(tmp_path / name, survey) == read(survey, answers(survey))
