"""A survey's definition as it was written, and the surveys it would be with another epsilon."""

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
    """What the author of a survey wrote, defaults left out: changing its epsilon changes all that follows from it.

    Questions that name their own epsilon keep it.
    """

    table: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Definition:
        """The definition in a TOML text; SurveyError unless it is a sound survey."""
        definition = cls(read_toml(text))
        definition.survey  # noqa: B018 - read now, so that a mistake is found where the file is known
        return definition

    @classmethod
    def load(cls, path: str | Path) -> Definition:
        """The definition in a file; SurveyError, every line beginning with the path, if it is not a sound survey."""
        return read_file(path, cls.parse)

    @cached_property
    def survey(self) -> Survey:
        """The survey as it was written."""
        return Survey.from_resolved(self.table)

    def at(self, epsilon: float, **privacy: object) -> Survey:
        """The survey with another epsilon, and other fields of its privacy table (None leaves one out).

        Permanent memory keeps its epsilon_permanent, which is a promise: SimulationError for an epsilon above it.
        SurveyError where a question cannot have that epsilon.
        """
        table = {**self.table["privacy"], "epsilon": epsilon, **privacy}
        questions = self.table["questions"]
        if table.get("memory") == PERMANENT:
            if epsilon > table["epsilon_permanent"]:
                raise SimulationError(
                    f"epsilon {epsilon:g} is above privacy.epsilon_permanent = {table['epsilon_permanent']:g}:"
                    " raise that yourself, or name smaller ones with --epsilon"
                )
        else:
            questions = [{name: one[name] for name in one if name != "epsilon_permanent"} for one in questions]
        stated = {name: value for name, value in table.items() if value is not None}
        return Survey.from_resolved({**self.table, "privacy": stated, "questions": questions})


def write_epsilon(path: str | Path, epsilon: float) -> Survey:
    """Sets the epsilon in a survey file, keeping comments and layout; the survey as it is now.

    The file is replaced as a whole or not at all. SurveyError where a question cannot have that epsilon,
    SimulationError where it is above epsilon_permanent, the file cannot be written or would not say what was meant.
    """
    try:
        import tomlkit
    except ImportError:
        raise SimulationError("writing a survey needs tomlkit; run: pip install 'hushtally[simulations]'") from None
    meant = Definition.load(path).at(epsilon)
    place = Path(path).resolve()  # through a link, which stays one
    document = tomlkit.parse(place.read_bytes().decode("utf-8-sig"))
    privacy: Any = document["privacy"]
    before = len(privacy["epsilon"].as_string())
    privacy["epsilon"] = epsilon
    kept, longer = privacy["epsilon"].trivia, len(privacy["epsilon"].as_string()) - before
    if kept.comment:  # stays in its column
        kept.comment_ws = " " * max(len(kept.comment_ws) - longer, 1)
    text = tomlkit.dumps(document)
    if Survey.parse(text).digest != meant.digest:
        raise SimulationError(f"{path}: cannot be edited; set epsilon = {epsilon:g} under [privacy] by hand")
    beside = place.with_name(f".{place.name}.new")
    try:
        beside.write_bytes(text.encode())
        beside.chmod(place.stat().st_mode)
        beside.replace(place)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SimulationError(f"{path} cannot be written: {error.strerror}") from None
    return meant
