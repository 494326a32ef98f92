"""The definition of a survey as its author wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import PERMANENT
from hushtally.client_sdk.survey.toml_file import read_file, read_toml
from hushtally.simulations.errors import SimulationError


@dataclass(frozen=True)
class Definition:
    """The fields that a survey file sets, without defaults.

    Values that depend on epsilon are not stored, so `at` can create the same survey with another epsilon. Questions
    that set their own epsilon keep it.
    """

    table: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Read the definition from a TOML string. Raises SurveyError if it is not a valid survey."""
        definition = cls(read_toml(text))
        definition.survey  # noqa: B018 - reports a mistake here, where the caller knows the file
        return definition

    @classmethod
    def load(cls, path: str | Path) -> Definition:
        """Read the definition from a file. Raises SurveyError, with the path in every line, if it is not valid."""
        return read_file(path, cls.parse)

    @cached_property
    def survey(self) -> Survey:
        """The survey as defined."""
        return Survey.from_resolved(self.table)

    def at(self, epsilon: float, **privacy: object) -> Survey:
        """Return the survey with another epsilon and other fields in its privacy table. None removes a field.

        Permanent memory keeps its epsilon_permanent, because it is a promise to customers. Raises SimulationError if
        epsilon is above epsilon_permanent, and SurveyError if a question does not allow the epsilon.
        """
        table = {**self.table["privacy"], "epsilon": epsilon, **privacy}
        questions = self.table["questions"]
        if table.get("memory") == PERMANENT:
            if epsilon > table["epsilon_permanent"]:
                raise SimulationError(
                    f"epsilon {epsilon:g} is above privacy.epsilon_permanent = {table['epsilon_permanent']:g}; raise"
                    " epsilon_permanent in the survey, or pass a smaller --epsilon"
                )
        else:
            questions = [
                {name: value for name, value in question.items() if name != "epsilon_permanent"}
                for question in questions
            ]
        stated = {name: value for name, value in table.items() if value is not None}
        return Survey.from_resolved({**self.table, "privacy": stated, "questions": questions})
