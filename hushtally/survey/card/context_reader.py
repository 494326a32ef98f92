"""Reads and checks a context file, and collects every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.errors import Problem, SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.fields import MAX_PROBLEMS, Fields, TooManyProblems, structure_problem
from hushtally.client_sdk.survey.privacy import within_ceiling
from hushtally.client_sdk.survey.toml_file import read_file, read_toml
from hushtally.survey.card.context import Answer, Approval, Context, HumanRating, NotApplicable, context_path
from hushtally.survey.card.field import Field, Kind, all_fields
from hushtally.survey.card.rating import Level, Rating
from hushtally.survey.card.risk import rated_by_people

MAX_TEXT = 10_000  # characters of an answer
MAX_PARAGRAPHS = 100
MAX_OTHER_RISKS = 50
LARGEST_CEILING = 1_000.0  # as an app's max_lifetime_epsilon
WORDS = tuple(level.word for level in Level)
# what people write to get past a question
PLACEHOLDERS = {
    "",
    "-",
    "?",
    "x",
    "no",
    "yes",
    "none",
    "na",
    "n/a",
    "not applicable",
    "tba",
    "tbd",
    "todo",
    "see above",
}
DIGEST = re.compile(r"[0-9a-f]{64}")
REASON = '{ not_applicable = "the reason" }'


def find_context(survey_file: str | Path, survey: Survey) -> Context | None:
    """The context in the file beside a survey file; None if there is no such file. SurveyError as `load_context`."""
    path = context_path(Path(survey_file))
    return load_context(path, survey) if path.exists() else None


def load_context(path: str | Path, survey: Survey) -> Context:
    """Read a context file. Raises SurveyError, whose lines start with the path, with every mistake."""
    return read_file(path, lambda text: ContextReader(read_toml(text), survey).read())


class ContextReader:
    """Reads the definition of a context. `read` returns the context, or raises SurveyError with all problems."""

    def __init__(self, definition: Mapping[str, Any], survey: Survey) -> None:
        problem = structure_problem(definition)
        if problem:
            raise SurveyError([problem])
        self.survey = survey
        self.problems: list[Problem] = []
        self.top = Fields(dict(definition), "", self.problems)

    def read(self) -> Context:
        """Return the context. Raises SurveyError with every mistake, or with the first hundred."""
        try:
            context = self._context()
        except TooManyProblems:
            more = Problem("", f"there are more mistakes; only the first {MAX_PROBLEMS} are listed")
            raise SurveyError([*self.problems, more]) from None
        if self.problems:
            raise SurveyError(self.problems)
        return context

    def _context(self) -> Context:
        card = self.top.nested("card")
        answers = {}
        for field in all_fields():
            if _given(card, field.key) and (answer := self._answer(card, field)) is not None:
                answers[field.key] = answer
        ceiling = answers.get("max_lifetime_epsilon")
        if isinstance(ceiling, float) and not within_ceiling(self.survey.lifetime_epsilon, ceiling):
            card.problem(
                "max_lifetime_epsilon",
                f"must be at least {self.survey.lifetime_epsilon:g}, the survey's lifetime epsilon, got {ceiling:g};"
                " a device with this ceiling never answers",
            )
        ratings = self._ratings(card)
        other_risks = self._other_risks(card)
        review_on = card.day("review_on") if _given(card, "review_on") else None
        approval = self._approval(card)
        if review_on and approval and review_on < approval.on:
            card.problem("review_on", f"must not be before the approval ({approval.on}), got {review_on}")
        card.close()
        self.top.close()
        return Context(answers, ratings, other_risks, review_on, approval)

    def _answer(self, table: Fields, field: Field) -> Answer | None:
        value = table.take(field.key)
        if isinstance(value, dict):
            return self._not_applicable(table, field, value)
        if value == "":
            table.problem(field.key, f"must not be empty; write {_asked(field)}")
            return None
        match field.kind:
            case Kind.TEXT:
                return self._text(table, field.key, value, "" if field.required else f", or {REASON}")
            case Kind.CHOICE:
                word: str | None = table.choice(field.key, field.choices)
                return word
            case Kind.SWITCH:
                return table.boolean(field.key)
            case Kind.EPSILON:
                number: float | None = table.number(field.key, 0.01, LARGEST_CEILING)
                return number
            case Kind.DAY:
                day: Answer | None = table.day(field.key)
                return day

    def _not_applicable(self, table: Fields, field: Field, value: dict[str, Any]) -> NotApplicable | None:
        if field.required:
            table.problem(field.key, f"always applies, so it needs an answer; write {_asked(field)}")
            return None
        inner = Fields(value, table.at(field.key), self.problems)
        reason = self._required_text(inner, "not_applicable")
        inner.close()
        return None if reason is None else NotApplicable(reason)

    def _text(self, table: Fields, key: str, value: object, alternative: str = "") -> str | None:
        """The paragraphs of an answer, one a line. A blank line in a string begins a new paragraph.

        alternative: what else the field may contain, for the messages.
        """
        parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str)]
        if (isinstance(value, list) and len(parts) != len(value)) or not 0 < len(parts) <= MAX_PARAGRAPHS:
            table.problem(key, f"must be a string or a list of strings{alternative}, got {shown(value)}")
            return None
        paragraphs = [" ".join(one.split()) for part in parts for one in re.split(r"\n\s*\n", part)]
        text = "\n".join(paragraph for paragraph in paragraphs if paragraph)
        if text.lower().strip(" .!") in PLACEHOLDERS:
            table.problem(key, f"{shown(value)} is not an answer; write a sentence{alternative}")
            return None
        if len(text) > MAX_TEXT or not text.replace("\n", "").isprintable():
            table.problem(key, f"must have at most {MAX_TEXT:,} printable characters, got {shown(value)}")
            return None
        return text

    def _ratings(self, card: Fields) -> dict[str, HumanRating]:
        table = Fields(dict(card.entries("risks")), card.at("risks"), self.problems)
        found = {}
        for risk in rated_by_people(self.survey):
            if _given(table, risk.id) and (rated := self._rated(table.nested(risk.id))):
                found[risk.id] = rated
        table.close()
        return found

    def _other_risks(self, card: Fields) -> tuple[HumanRating, ...]:
        if not _given(card, "other_risks"):
            return ()
        rows = card.rows("other_risks", 1, MAX_OTHER_RISKS)
        return tuple(rated for row in rows if (rated := self._rated(row, described=True)))

    def _rated(self, table: Fields, described: bool = False) -> HumanRating | None:
        """A rating; described: the table also says what the risk is, and what limits it."""
        reason = self._required_text(table, "reason")
        risk = self._required_text(table, "risk") if described else ""
        measures = self._required_text(table, "measures") if described else ""
        before, after = self._rating(table, "before"), self._rating(table, "after")
        table.close()
        if before is None or after is None or reason is None or risk is None or measures is None:
            return None
        if after.score > before.score:
            table.problem("after", f"must not be higher than before ({before.score}), got {after.score}")
            return None
        return HumanRating(before, after, reason, risk, measures)

    def _required_text(self, table: Fields, key: str) -> str | None:
        value = table.take(key)
        return self._text(table, key, value) if table.has(key) else None

    def _rating(self, table: Fields, key: str) -> Rating | None:
        inner = table.nested(key)
        words = [inner.choice(name, WORDS) for name in Rating._fields]
        inner.close()
        return None if None in words else Rating(*map(Level.named, words))

    def _approval(self, card: Fields) -> Approval | None:
        if not _given(card, "approval"):
            return None
        table = card.nested("approval")
        on, digest = table.day("on"), table.take("digest")
        table.close()
        if not table.has("digest"):
            return None
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            table.problem("digest", f"must be the digest of the card that was signed (64 digits), got {shown(digest)}")
            return None
        return Approval(on, digest) if on else None


def _given(table: Fields, key: str) -> bool:
    """Whether the table has this optional field, which is known from now on."""
    table.take(key, None)
    return table.has(key)


def _asked(field: Field) -> str:
    """What to write into a field."""
    return field.ask + ("" if field.required else f", or {REASON}")
