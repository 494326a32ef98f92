"""An editor that sets the epsilon of a survey file and keeps its comments and layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import write_file
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError


def write_epsilon(path: str | Path, epsilon: float) -> Survey:
    """Set the epsilon in a survey file and return the new survey.

    The file is replaced as a whole or not at all. Raises SurveyError if a question does not allow the epsilon,
    SimulationError if the epsilon is above epsilon_permanent or if the edited file would not have the intended meaning,
    and OutputFileError if the file cannot be written.
    """
    intended = Definition.load(path).at(epsilon)
    text = _edited(Path(path), epsilon)
    if Survey.parse(text).digest != intended.digest:
        raise SimulationError(f"cannot edit {path}; set epsilon = {epsilon:g} under [privacy] by hand")
    write_file(Path(path), text)
    return intended


def _edited(path: Path, epsilon: float) -> str:
    """The content of the file with the new epsilon; a comment on its line stays in its column."""
    try:
        import tomlkit
    except ImportError:
        raise SimulationError("editing a survey needs tomlkit; run: pip install 'hushtally[simulations]'") from None
    document = tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
    privacy: Any = document["privacy"]
    old_length = len(privacy["epsilon"].as_string())
    privacy["epsilon"] = epsilon
    trivia, growth = privacy["epsilon"].trivia, len(privacy["epsilon"].as_string()) - old_length
    if trivia.comment:
        trivia.comment_ws = " " * max(len(trivia.comment_ws) - growth, 1)
    return tomlkit.dumps(document)
