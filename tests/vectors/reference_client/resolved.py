"""What a client checks before it answers a resolved survey."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from itertools import pairwise
from math import isclose, prod
from typing import Any

from reference_client.canonical import digest
from reference_client.described import description
from reference_client.epochs import first_day, label, last_day
from reference_client.invalid import InvalidSurvey, require
from reference_client.questions import Questions
from reference_client.rules import BOOLEAN, NUMBER, STRING, Parser
from reference_client.schedule import schedule
from reference_client.tokens import InvalidRule

IDENTIFIER = r"[a-z0-9][a-z0-9_.-]{0,63}"
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
RESERVED = {
    *("abs", "len", "min", "max", "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class"),
    *("continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in"),
    *("is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield"),
}
MAX_DOMAIN, MAX_CROSSED = 65_536, 262_144
ROUNDING = 1e-9

Check = Callable[[Any], None]


def fetched(
    body: bytes, id: str, version: int, pinned: str | None, max_epsilon: float | None, max_lifetime: float | None
) -> dict[str, Any]:
    """The survey in a collector's answer. Raises InvalidSurvey unless the app may use it."""
    try:
        survey = json.loads(body.decode("utf-8"))["survey"]
        served = digest(survey)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InvalidSurvey from None
    require(pinned is None or served == pinned)
    check(survey)
    require((survey["id"], survey["version"]) == (id, version))
    asked = [question for question in survey["questions"] if not question["only_crossed"]]
    require(all(within(question["epsilon"], max_epsilon) for question in asked))
    require(within(lifetime_epsilon(survey), max_lifetime))
    return dict(survey)


def within(epsilon: float, ceiling: float | None) -> bool:
    return ceiling is None or epsilon <= ceiling or isclose(epsilon, ceiling, rel_tol=ROUNDING, abs_tol=ROUNDING)


def lifetime_epsilon(survey: dict[str, Any]) -> float:
    asked = [question for question in survey["questions"] if not question["only_crossed"]]
    stated = {name: survey[name] for name in ("starts", "ends", "epoch")} | survey["privacy"]
    stated["epsilons"] = [question["epsilon"] for question in asked]
    stated["epsilons_permanent"] = [question.get("epsilon_permanent", 0) for question in asked]
    return float(schedule(stated)["lifetime_epsilon"])


def check(survey: Any) -> None:
    """Raises InvalidSurvey unless this is a resolved survey, and its mechanisms follow from its epsilons."""
    table(survey, SURVEY)
    check_dates(survey)
    check_privacy(survey["privacy"])
    require(len(survey["cohorts"]) <= 3 and prod(map(len, survey["cohorts"].values())) <= 64)
    require(not RESERVED & survey["signals"].keys())
    check_questions(survey)
    try:
        check_rules(survey)
    except InvalidRule:
        raise InvalidSurvey from None
    for question in survey["questions"]:
        check_mechanism(question, Questions(survey))


def check_dates(survey: dict[str, Any]) -> None:
    epoch, starts, ends = survey["epoch"], survey["starts"], survey["ends"]
    try:
        first, last = date.fromisoformat(starts), date.fromisoformat(ends)
    except ValueError:
        raise InvalidSurvey from None
    require(2000 <= first.year <= 2999 and 2000 <= last.year <= 2999)
    require(first == first_day(epoch, label(epoch, first)) and last == last_day(epoch, label(epoch, last)))
    require(0 <= (last - first).days < 366)


def check_privacy(privacy: dict[str, Any]) -> None:
    lasting = {"epsilon_permanent", "changes"} & privacy.keys()
    require(len(lasting) == (2 if privacy["memory"] == "permanent" else 0))
    require(privacy.get("epsilon_permanent", 8) >= privacy["epsilon"])


def check_questions(survey: dict[str, Any]) -> None:
    questions, permanent = survey["questions"], survey["privacy"]["memory"] == "permanent"
    by_id = {question["id"]: question for question in questions}
    require(len(by_id) == len(questions))
    for question in questions:
        (form,) = FORMS.keys() & question.keys()
        require(("epsilon_permanent" in question) is permanent)
        require(question.get("epsilon_permanent", 8) >= question["epsilon"])
        if form == "segments":
            ids = [segment["id"] for segment in question["segments"]]
            require(["when" in segment for segment in question["segments"]] == [True] * (len(ids) - 1) + [False])
            require(len(set(ids)) == len(ids))
        elif form == "one_of":
            require("top" in survey["signals"].get(question["one_of"], ()) and "other" not in question["categories"])
        elif form == "number":
            require(all(low < high for low, high in pairwise(question["edges"])))
            require(len({f"{edge:.15g}" for edge in question["edges"]}) == len(question["edges"]))
        else:
            require(all(name in by_id and "cross" not in by_id[name] for name in question["cross"]))
    check_sizes(survey)


def check_sizes(survey: dict[str, Any]) -> None:
    """The number of segments and of questions, and the names of the segments."""
    questions = Questions(survey)
    sizes = {id: size(questions, id) for id in questions.by_id}
    require(all(2 <= found <= MAX_DOMAIN for found in sizes.values()))
    crosses = [question for question in survey["questions"] if "cross" in question]
    require(sum(sizes[question["id"]] for question in crosses) <= MAX_CROSSED)
    require(all(len(set(names)) == len(names) for names in map(questions.segments, questions.by_id)))
    crossed = {name for question in crosses for name in question["cross"]}
    require(all(not one["only_crossed"] or one["id"] in crossed for one in survey["questions"]))
    asked = [question for question in survey["questions"] if not question["only_crossed"]]
    require(survey["privacy"]["questions_per_device"] <= len(asked))


def size(questions: Questions, id: str) -> int:
    """The number of segments, without listing the combinations of a cross."""
    crossed = questions.by_id[id].get("cross")
    return prod(size(questions, name) for name in crossed) if crossed else len(questions.segments(id))


def check_rules(survey: dict[str, Any]) -> None:
    types = {name: STRING if "top" in signal else NUMBER for name, signal in survey["signals"].items()}
    for question in survey["questions"]:
        for segment in question.get("segments", [])[:-1]:
            Parser(segment["when"], types).read(BOOLEAN)
        if "number" in question:
            Parser(question["number"], types).read(NUMBER)


def check_mechanism(question: dict[str, Any], questions: Questions) -> None:
    """A mechanism must be the one that follows from the epsilon that the survey declares."""
    d = len(questions.segments(question["id"]))
    stated = question["mechanism"]
    require(stated == description(stated, d, question["epsilon"], question.get("epsilon_permanent")))


# The fields of a resolved survey. Every check raises InvalidSurvey.


def integer(low: int, high: int) -> Check:
    return lambda value: require(type(value) is int and low <= value <= high)


def real(low: float, high: float) -> Check:
    return lambda value: require(type(value) in (int, float) and low <= value <= high)


def string(longest: int) -> Check:
    return lambda value: require(printable(value, longest) and value.strip(" ") != "")


def label_string(value: Any) -> None:
    require(printable(value, 100))


def printable(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def matching(pattern: str) -> Check:
    return lambda value: require(isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None)


def one_of(*values: Any) -> Check:
    return lambda value: require(any(value is one or (isinstance(value, str) and value == one) for one in values))


def listed(item: Check, low: int, high: int, *, unique: bool = False) -> Check:
    def check_list(value: Any) -> None:
        require(isinstance(value, list) and low <= len(value) <= high)
        for one in value:
            item(one)
        require(not unique or len(set(value)) == len(value))

    return check_list


def named(item: Check, most: int) -> Check:
    def check_names(value: Any) -> None:
        require(isinstance(value, dict) and len(value) <= most)
        for name, one in value.items():
            matching(NAME)(name)
            item(one)

    return check_names


def table(value: Any, fields: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> None:
    known = {**fields, **(optional or {})}
    require(isinstance(value, dict) and fields.keys() <= value.keys() <= known.keys())
    for name, one in value.items():
        known[name](one)


def signal(value: Any) -> None:
    require(isinstance(value, dict) and len(value) == 2 and len(SOURCES.keys() & value.keys()) == 1)
    table(value, {"days": integer(1, 3_660)}, SOURCES)


def segment(value: Any) -> None:
    table(value, {"id": matching(IDENTIFIER)}, {"when": rule})


def rule(value: Any) -> None:
    require(isinstance(value, str))


def question(value: Any) -> None:
    forms = [form for form in FORMS if isinstance(value, dict) and form in value]
    require(len(forms) == 1)
    table(value, {**QUESTION, **FORMS[forms[0]]}, {"title": string(100), "epsilon_permanent": EPSILON})


def mechanism(value: Any) -> None:
    require(isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"] in MECHANISMS)


EPSILON = real(0.01, 8)
MECHANISMS = ("direct", "subset", "affine", "projective", "sue", "oue", "rappor")
EVENT, FIELD = matching(NAME), matching(rf"{NAME}\.{NAME}")
SOURCES = {"count": EVENT, "sum": FIELD, "days_since": EVENT, "top": FIELD, "distinct": FIELD}
FORMS: dict[str, dict[str, Check]] = {
    "segments": {"segments": listed(segment, 2, MAX_DOMAIN)},
    "one_of": {"one_of": matching(NAME), "categories": listed(label_string, 1, MAX_DOMAIN - 1, unique=True)},
    "number": {
        "number": rule,
        "edges": listed(real(-1e15, 1e15), 1, MAX_DOMAIN - 1),
        "otherwise": matching(IDENTIFIER),
    },
    "cross": {"cross": listed(matching(IDENTIFIER), 2, 8, unique=True)},
}
QUESTION: dict[str, Check] = {
    "id": matching(IDENTIFIER),
    "epsilon": EPSILON,
    "only_crossed": one_of(True, False),
    "mechanism": mechanism,
}
PRIVACY: dict[str, Check] = {
    "epsilon": EPSILON,
    "questions_per_device": integer(1, 64),
    "answers_every": integer(1, 366),
    "memory": one_of("fresh", "permanent"),
}
SURVEY: dict[str, Check] = {
    "id": matching(IDENTIFIER),
    "version": integer(1, 1_000_000),
    "title": string(200),
    "purpose": string(2_000),
    "owner": string(200),
    "starts": matching(r"\d{4}-\d{2}-\d{2}"),
    "ends": matching(r"\d{4}-\d{2}-\d{2}"),
    "epoch": one_of("day", "week", "month"),
    "retention_days": integer(1, 3_660),
    "min_reports": integer(1, 1_000_000_000),
    "privacy": lambda value: table(value, PRIVACY, {"epsilon_permanent": EPSILON, "changes": integer(0, 100)}),
    "cohorts": named(listed(label_string, 1, 64, unique=True), 3),
    "signals": named(signal, 128),
    "questions": listed(question, 1, 64),
}
