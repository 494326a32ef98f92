"""`tune --write` changes the epsilon of a survey file, and nothing else."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hushtally.cli import main
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.tune.survey_editor import write_epsilon

COMMENT = "# what one report may reveal: an observer who was 10% sure is then at most 24% sure."


@pytest.fixture
def file(example: Path, tmp_path: Path) -> Path:
    path = tmp_path / "survey.toml"
    path.write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tune", *arguments])


def test_only_one_line_changes_and_its_comment_stays(file: Path, example: Path) -> None:
    result = run(str(file), "--devices", "500000", "--ceiling", "17.5", "--write")
    assert result.exit_code == 0, result.output
    assert f"wrote epsilon = 2.5 to {file}; if version 1 is already in use, raise the version" in result.output
    lines = difflib.unified_diff(
        example.read_text(encoding="utf-8").splitlines(),
        file.read_text(encoding="utf-8").splitlines(),
        n=0,
        lineterm="",
    )
    assert [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        f"-epsilon = 1.0                {COMMENT}",
        f"+epsilon = 2.5                {COMMENT}",
    ]
    assert Survey.load(file).privacy.epsilon == 2.5
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("epsilon", [0.75, 2.25, 0.1234567890123456])
def test_the_comment_stays_in_its_column(file: Path, epsilon: float) -> None:
    """The comment keeps its column if there is room for the new number."""
    write_epsilon(file, epsilon)
    line = next(one for one in file.read_text(encoding="utf-8").splitlines() if one.startswith("epsilon"))
    assert line == f"epsilon = {epsilon}".ljust(29) + COMMENT


def test_without_write_or_a_recommendation_nothing_is_written(file: Path, example: Path) -> None:
    assert run(str(file), "--devices", "500000").exit_code == 0
    result = run(str(file), "--devices", "50000", "--write")
    assert result.exit_code == 1
    assert (
        f"{file} is unchanged, because no epsilon is recommended. No epsilon within the ceiling of 8 meets the"
        in result.output
    )
    assert file.read_bytes() == example.read_bytes()


def test_the_same_epsilon_changes_nothing(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    result = run(str(file), "--devices", "500000", "--epsilon", "1", "--target", "0.1", "--write")
    assert "already has epsilon = 1" in result.output
    assert file.read_text(encoding="utf-8") == text


def test_epsilon_permanent_is_never_changed(file: Path) -> None:
    """An epsilon above it is refused by the command and by the function, and the file does not change."""
    text = file.read_text(encoding="utf-8")
    permanent = 'memory = "permanent"\nepsilon_permanent = 3.0 # in all\nchanges = 3'
    file.write_text(text.replace('memory = "fresh"', permanent), encoding="utf-8")
    before = file.read_bytes()
    message = (
        "epsilon 4 is above privacy.epsilon_permanent = 3; raise epsilon_permanent in the survey, or pass a smaller"
        " --epsilon"
    )
    result = run(str(file), "--devices", "500000", "--epsilon", "4", "--write")
    assert (result.exit_code, result.output) == (1, f"Error: {message}\n")
    with pytest.raises(SimulationError, match=message):
        write_epsilon(file, 4.0)
    assert file.read_bytes() == before
    assert run(str(file), "--devices", "500000", "--ceiling", "12", "--write").exit_code == 0
    assert (Survey.load(file).privacy.epsilon, Survey.load(file).privacy.epsilon_permanent) == (2.5, 3.0)
    assert "epsilon_permanent = 3.0 # in all" in file.read_text(encoding="utf-8")


def test_line_endings_and_a_symbolic_link_stay(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    write_epsilon(link, 2.5)
    assert link.is_symlink()
    assert file.read_bytes().count(b"\r\n") == file.read_bytes().count(b"\n")
    assert Survey.load(file).privacy.epsilon == 2.5


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 5_000])
def test_extreme_toml_is_a_survey_error(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SurveyError, match="cannot be parsed: the TOML is nested too deeply"):
        Definition.load(file)


def test_a_byte_order_mark_is_ignored(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Definition.load(file).survey == Survey.load(file)


def test_a_failed_edit_changes_nothing(file: Path, example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit with another meaning is discarded; without tomlkit there is no edit."""
    monkeypatch.setattr("tomlkit.dumps", lambda document: example.read_text(encoding="utf-8"))
    with pytest.raises(SimulationError, match=r"cannot edit .*; set epsilon = 2\.5 under \[privacy\] by hand"):
        write_epsilon(file, 2.5)
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(SimulationError, match="editing a survey needs tomlkit; run: pip install 'hushtally"):
        write_epsilon(file, 2.5)
    assert file.read_bytes() == example.read_bytes()
