"""The context of a survey: people's answers to the questions of a card that the survey cannot answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from hushtally.client_sdk.canonical_json import sha256
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.field import Device, Field, all_fields
from hushtally.survey.card.rating import Rating


@dataclass(frozen=True)
class NotApplicable:
    """The answer to a question that does not apply, with the reason."""

    reason: str


Answer = str | date | bool | float | NotApplicable


@dataclass(frozen=True)
class HumanRating:
    """The rating of a risk by people. risk and measures are empty if the card itself describes the risk."""

    before: Rating
    after: Rating
    reason: str
    risk: str = ""
    measures: str = ""


@dataclass(frozen=True)
class Approval:
    """A signature: its date, and the digest of the signed card."""

    on: date
    digest: str


@dataclass(frozen=True)
class Context:
    """The answers of a context file. Without a file, no question is answered.

    answers: by the key of the question. ratings: by the id of the risk. other_risks: risks that people added.
    review_on: the date of the next review; None for the survey's last day. approval: None until the card is signed.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    ratings: Mapping[str, HumanRating] = field(default_factory=dict)
    other_risks: tuple[HumanRating, ...] = ()
    review_on: date | None = None
    approval: Approval | None = None

    def answer(self, question: Field) -> str:
        """Return the answer in words. For an open question, return "NOT ANSWERED" and what to write."""
        match self.answers.get(question.key):
            case None:
                return f"NOT ANSWERED: {question.ask}"
            case NotApplicable(reason):
                return f"Not applicable: {reason}"
            case bool(value):
                return "yes" if value else "no"
            case float(value):
                return f"epsilon {value:g}"
            case value:
                return str(value)

    def asked(self) -> Iterator[Field]:
        """Yield the questions that require an answer. Some questions depend on another answer."""
        for question in all_fields():
            if question.needed_if is None:
                yield question
            else:
                key, words = question.needed_if
                if self.answers.get(key) in words:
                    yield question

    @property
    def device(self) -> Device | None:
        """The kind of device; None if this question is not answered."""
        word = self.answers.get("device")
        return Device(word) if isinstance(word, str) else None

    @property
    def ceiling(self) -> float | None:
        """The app's ceiling for the lifetime epsilon; None if there is none or if this question is not answered."""
        value = self.answers.get("max_lifetime_epsilon")
        return value if isinstance(value, float) else None

    def review_due(self, survey: Survey) -> date:
        """Return the date of the next review: `review_on`, or the survey's last day by default."""
        return self.review_on or survey.ends

    def digest(self, survey: Survey) -> str:
        """Return the SHA-256 of the content that people sign: the survey and all answers except the approval."""
        content = {
            "survey": survey.digest,
            "answers": {key: _plain(answer) for key, answer in self.answers.items()},
            "risks": {id: _plain_risk(rated) for id, rated in self.ratings.items()},
            "other_risks": [_plain_risk(rated) for rated in self.other_risks],
            "review_on": str(self.review_due(survey)),
        }
        return sha256(content)


def context_path(survey: Path) -> Path:
    """Return the path of the context file beside a survey file, such as `habits.card.toml` for `habits.toml`."""
    return survey.with_suffix(".card.toml")


def _plain(answer: Answer) -> object:
    match answer:
        case NotApplicable(reason):
            return {"not_applicable": reason}
        case bool() | float():
            return answer
    return str(answer)


def _plain_risk(rated: HumanRating) -> list[object]:
    return [[*map(int, rated.before)], [*map(int, rated.after)], rated.reason, rated.risk, rated.measures]
