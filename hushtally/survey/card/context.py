"""The context of a survey: what a card needs to know and the survey cannot say, as people answered it."""

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
    """The rating of a risk by people. The texts are empty for a risk that the card describes itself."""

    before: Rating
    after: Rating
    reason: str
    risk: str = ""
    measures: str = ""


@dataclass(frozen=True)
class Approval:
    """A signature that was given: its day, and the digest of the card that was signed."""

    on: date
    digest: str


@dataclass(frozen=True)
class Context:
    """The answers of a context file. Without a file, nothing is answered.

    answers: by the key of the question. ratings: by the id of the risk. other_risks: risks that only people know of.
    review_on: None if the survey's last day decides. approval: None until the card is signed.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    ratings: Mapping[str, HumanRating] = field(default_factory=dict)
    other_risks: tuple[HumanRating, ...] = ()
    review_on: date | None = None
    approval: Approval | None = None

    def answer(self, question: Field) -> str:
        """The answer in words. An open question is "NOT ANSWERED", with what to write."""
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
        """The questions that have to be answered: all, except those that depend on another answer."""
        for question in all_fields():
            if question.needed_if is None:
                yield question
            else:
                key, words = question.needed_if
                if self.answers.get(key) in words:
                    yield question

    @property
    def device(self) -> Device | None:
        """Whose machine the device is; None if this is not answered."""
        word = self.answers.get("device")
        return Device(word) if isinstance(word, str) else None

    @property
    def ceiling(self) -> float | None:
        """The app's ceiling for the lifetime epsilon; None if there is none or if this is not answered."""
        value = self.answers.get("max_lifetime_epsilon")
        return value if isinstance(value, float) else None

    def review_due(self, survey: Survey) -> date:
        """The day on which the assessment has to be reviewed: `review_on`, or else the survey's last day."""
        return self.review_on or survey.ends

    def digest(self, survey: Survey) -> str:
        """SHA-256 over the survey and all answers except the approval: what a signature is given for."""
        content = {
            "survey": survey.digest,
            "answers": {key: _plain(answer) for key, answer in self.answers.items()},
            "risks": {id: _plain_risk(rated) for id, rated in self.ratings.items()},
            "other_risks": [_plain_risk(rated) for rated in self.other_risks],
            "review_on": str(self.review_due(survey)),
        }
        return sha256(content)


def context_path(survey: Path) -> Path:
    """Where the context file of a survey file is: beside it, such as `habits.card.toml` for `habits.toml`."""
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
