"""A survey: what is asked, why, until when, and with which epsilon. Frozen data that every party interprets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import product
from os import PathLike
from typing import Any

from hushtally.client_sdk.canonical_json import sha256
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.privacy import PERMANENT, Privacy
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.survey.reader import SurveyReader
from hushtally.client_sdk.survey.retention import Retention
from hushtally.client_sdk.survey.signals import Signal
from hushtally.client_sdk.survey.toml_file import read_file, read_toml


@dataclass(frozen=True)
class Survey:
    """A valid survey. Create one with `parse`, `load` or `from_resolved`. Equal surveys have equal digests."""

    id: str
    version: int
    title: str
    purpose: str
    owner: str
    starts: date
    ends: date
    epoch: EpochLength
    retention_days: int
    min_reports: int
    privacy: Privacy
    cohorts: Mapping[str, tuple[str, ...]]
    signals: Mapping[str, Signal]
    questions: tuple[Question, ...]

    @classmethod
    def parse(cls, text: str) -> Survey:
        """Parse a survey in TOML. Raises SurveyError that lists every mistake with its place."""
        return cls.from_resolved(read_toml(text))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Survey:
        """Read a survey file. Raises SurveyError, whose lines start with the path, if it is unreadable or invalid."""
        return read_file(path, cls.parse)

    @classmethod
    def from_resolved(cls, definition: Mapping[str, Any]) -> Survey:
        """Create a survey from a resolved definition, as the collector serves it, or from one as it was written."""
        return cls(**SurveyReader(definition).read())

    @cached_property
    def resolved(self) -> dict[str, object]:
        """The whole definition as JSON: all defaults are filled in, and every mechanism has its parameters."""
        privacy = {name: value for name, value in vars(self.privacy).items() if value is not None}
        return {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "purpose": self.purpose,
            "owner": self.owner,
            "starts": self.starts.isoformat(),
            "ends": self.ends.isoformat(),
            "epoch": str(self.epoch),
            "retention_days": self.retention_days,
            "min_reports": self.min_reports,
            "privacy": privacy,
            "cohorts": {name: list(values) for name, values in self.cohorts.items()},
            "signals": {
                name: {str(signal.function): signal.source, "days": signal.days}
                for name, signal in self.signals.items()
            },
            "questions": [question.resolved for question in self.questions],
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the resolved survey, as 64 hexadecimal digits."""
        return sha256(self.resolved)

    def __hash__(self) -> int:
        return hash(self.digest)  # the tables themselves are not hashable

    @property
    def name(self) -> str:
        """Id and version for display, such as `habits v1`."""
        return f"{self.id} v{self.version}"

    def question(self, id: str) -> Question:
        """The question with this id. Raises KeyError if there is none."""
        return self._by_id[id]

    @cached_property
    def _by_id(self) -> dict[str, Question]:
        return {question.id: question for question in self.questions}

    @cached_property
    def asked(self) -> tuple[Question, ...]:
        """The questions that devices answer: all except those that are only crossed."""
        return tuple(question for question in self.questions if not question.only_crossed)

    @property
    def permanent(self) -> bool:
        """Whether the survey uses permanent memory: the randomized answer to a value is stored and reused."""
        return self.privacy.memory == PERMANENT

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return self.epoch.spanned(self.starts, self.ends)

    @property
    def answers(self) -> int:
        """The largest number of answers of one device to one question."""
        return math.ceil(self.epochs / self.privacy.answers_every)

    @property
    def charges(self) -> int:
        """The largest number of answers that cost epsilon. With permanent memory, repeated answers cost nothing."""
        return min(self.answers, 1 + (self.privacy.changes or 0)) if self.permanent else self.answers

    @property
    def delivery_epsilon(self) -> float:
        """The privacy loss of one delivery: the answers of an epoch are sent together."""
        return self._largest_sum(question.epsilon for question in self.asked)

    @property
    def lifetime_epsilon(self) -> float:
        """The privacy loss of all reports of one device.

        With permanent memory, this bounds what the answers reveal, but not whether and when an answer changed.
        """
        if self.permanent:
            return self.charges * self._largest_sum(question.epsilon_permanent or 0.0 for question in self.asked)
        return self.charges * self.delivery_epsilon

    def _largest_sum(self, epsilons: Iterable[float]) -> float:
        """The largest sum over the questions of one device, whichever questions it draws."""
        return sum(sorted(epsilons, reverse=True)[: self.privacy.questions_per_device])

    @property
    def longest_window(self) -> int:
        """The longest window of a signal, in days: how long a device must store events."""
        return max((signal.days for signal in self.signals.values()), default=1)

    def runs(self, day: date) -> bool:
        """Whether the survey runs on `day`."""
        return self.starts <= day <= self.ends

    def accepted_until(self, day: date) -> date:
        """The last day on which reports of the day's epoch are accepted: the end of the next epoch."""
        return self._retention.accepted_until(day)

    def erased_on(self, epoch: str) -> date:
        """The day on which the counts of an epoch are deleted: `retention_days` after reports were last accepted."""
        return self._retention.erased_on(epoch)

    @cached_property
    def _retention(self) -> Retention:
        return Retention(self.epoch, self.retention_days)

    def cohort_problem(self, cohort: object) -> str | None:
        """What is wrong with a device's cohorts, or None. Every declared cohort needs one of its declared values."""
        if not isinstance(cohort, Mapping) or cohort.keys() != self.cohorts.keys():
            names = ", ".join(self.cohorts) or "none"
            return f"must give exactly the declared cohorts ({names})"
        for name, value in cohort.items():
            if value not in self.cohorts[name]:
                return f"{name} must be one of {', '.join(self.cohorts[name])}"
        return None

    def all_cohorts(self) -> list[dict[str, str]]:
        """Every combination of cohort values."""
        return [dict(zip(self.cohorts, values, strict=True)) for values in product(*self.cohorts.values())]
