"""`hushtally survey card`: its options, its files and its errors; and what `survey check` says about a card."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from card_context import SURVEY, answers, as_toml, read
from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.survey import commands
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.html import to_html
from hushtally.survey.card.markdown import to_markdown
from hushtally.survey.card.starter import starter

TODAY = date(2026, 11, 30)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(commands, "utc_today", lambda: TODAY)
    path = tmp_path / "habits.toml"
    path.write_text(SURVEY, encoding="utf-8")
    return path


@pytest.fixture
def survey() -> Survey:
    return Survey.parse(SURVEY)


def hushtally(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["survey", *map(str, arguments)])


def write_context(file: Path, table: dict[str, Any]) -> Path:
    path = file.with_name("habits.card.toml")
    path.write_text(as_toml(table), encoding="utf-8")
    return path


def test_without_a_context_file_every_question_is_open(file: Path, survey: Survey) -> None:
    result = hushtally("card", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == to_markdown(card(survey, Context()))


def test_the_context_file_beside_the_survey_is_used(file: Path, survey: Survey) -> None:
    write_context(file, answers(survey))
    assert hushtally("card", file).stdout == to_markdown(card(survey, read(survey, answers(survey))))


def test_another_context_file_can_be_named(file: Path, survey: Survey, tmp_path: Path) -> None:
    """It is used instead of the one beside the survey, and it must exist."""
    write_context(file, {"scope": "The file beside the survey."})
    other = tmp_path / "other.toml"
    other.write_text(as_toml({"scope": "The other file."}), encoding="utf-8")
    assert "| Scope | The other file. |" in hushtally("card", file, "--context", other).stdout
    result = hushtally("card", file, "--context", tmp_path / "none.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path}/none.toml: cannot be read: No such file or directory\n"


def test_the_card_can_be_a_page(file: Path, survey: Survey) -> None:
    result = hushtally("card", file, "--format", "html")
    assert (result.exit_code, result.stdout) == (0, to_html(card(survey, Context())))


@pytest.mark.parametrize("shape", ["markdown", "html"])
def test_the_card_is_the_same_on_every_day(file: Path, survey: Survey, shape: str) -> None:
    """Another process with another hash seed writes the same bytes: a signature is for one document."""
    write_context(file, answers(survey))
    command = [sys.executable, "-m", "hushtally", "survey", "card", str(file), "--format", shape]
    outputs = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=120).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_mistakes_of_the_context_file_are_listed_with_its_path(file: Path) -> None:
    path = write_context(file, {"author": "Ada", "scope": ""})
    for command in ("card", "check"):
        result = hushtally(command, file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            f"Error: {path}: card.scope: must not be empty; write what this assessment covers, what it leaves out, and"
            " why",
            f"Error: {path}: card.author: unknown field; did you mean 'authors'?",
        ]


def test_output_goes_to_a_new_file_only(file: Path, survey: Survey, tmp_path: Path) -> None:
    """A card that was signed is not overwritten. The message says how far the card is."""
    output = tmp_path / "card.md"
    result = hushtally("card", file, "--output", output)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {output}; 60 of 60 fields are not answered: not ready to sign\n"
    assert output.read_text(encoding="utf-8") == to_markdown(card(survey, Context()))
    output.write_text("signed")
    result = hushtally("card", file, "--output", output)
    assert result.exit_code == 1
    expected = f"Error: {output} already exists and was not changed; give another name, or delete it first\n"
    assert result.stderr == expected
    assert output.read_text() == "signed"


@pytest.mark.parametrize(("shape", "name"), [("markdown", "card.md"), ("html", "card.html")])
def test_an_output_that_cannot_be_written(file: Path, tmp_path: Path, shape: str, name: str) -> None:
    result = hushtally("card", file, "--format", shape, "--output", tmp_path / "none" / "card")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path}/none/card cannot be written: No such file or directory\n"
    result = hushtally("card", file, "--format", shape, "--output", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path} is a directory; give a file name, such as {tmp_path}/{name}\n"


@pytest.mark.parametrize(
    "command", [["new", "{0}"], ["card", "habits.toml", "--output", "{0}"], ["card", "habits.toml", "--new-context"]]
)
def test_a_file_that_cannot_be_written_whole_is_removed(file: Path, command: list[str]) -> None:
    """A file system without room leaves one line and no part of a file."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000));"
        "from hushtally.cli import main; main(sys.argv[1:])"
    )
    arguments = [argument.format("part") for argument in command]
    done = subprocess.run(
        [sys.executable, "-c", code, "survey", *arguments], cwd=file.parent, capture_output=True, text=True, timeout=120
    )
    written = "habits.card.toml" if "--new-context" in command else "part"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: {written} cannot be written: File too large\n"
    assert not (file.parent / written).exists()


def test_a_new_context_file_is_written_beside_the_survey(file: Path, survey: Survey) -> None:
    """Never over another one: it may contain answers."""
    path = file.with_name("habits.card.toml")
    result = hushtally("card", file, "--new-context")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {path}; answer its questions, then: hushtally survey card {file}\n"
    assert path.read_text(encoding="utf-8") == starter(survey, "habits.toml")
    assert hushtally("card", file).stdout == to_markdown(card(survey, Context()))
    path.write_text("answers")
    result = hushtally("card", file, "--new-context")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {path} already exists and was not changed; give another name, or delete it first\n"
    assert path.read_text() == "answers"


def test_a_new_context_file_may_have_another_name(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "a b.toml"
    result = hushtally("card", file, "--new-context", "--context", path)
    assert result.exit_code == 0
    assert result.stderr.endswith(f"then: hushtally survey card {file} --context '{path}'\n")
    assert path.exists()


def test_a_new_context_file_and_a_card_are_two_commands(file: Path, tmp_path: Path) -> None:
    result = hushtally("card", file, "--new-context", "--output", tmp_path / "card.md")
    assert result.exit_code == 2
    line = "Error: --new-context writes no card; leave out --output, or name the file with --context"
    assert result.stderr.splitlines()[-1] == line
    assert not file.with_name("habits.card.toml").exists()


def test_check_says_how_far_the_card_is_and_when_its_review_is_due(file: Path, survey: Survey) -> None:
    """The default is the survey's last day."""
    path = write_context(file, answers(survey))
    result = hushtally("check", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2:] == [
        f"{path}: all 62 fields are answered: ready to sign",
        f"{path}: the digest of the card is {read(survey, answers(survey)).digest(survey)}",
        f"{path}: the review is due on 2027-05-02",
    ]


@pytest.mark.parametrize(("day", "overdue"), [(29, True), (30, False)])
def test_check_warns_from_the_day_after_the_review_date(file: Path, survey: Survey, day: int, overdue: bool) -> None:
    """On the day itself there is still time. A warning does not change the exit status."""
    path = write_context(file, answers(survey) | {"review_on": f"2026-11-{day}"})
    result = hushtally("check", file)
    assert result.exit_code == 0
    warning = (
        f"Warning: {path}: card.review_on: the review was due on 2026-11-{day}; review the card, set a later date, and"
        " sign it again\n"
    )
    assert result.stderr == (warning if overdue else "")
    assert (f"{path}: the review is due on 2026-11-{day}\n" in result.stdout) is not overdue


def test_check_warns_of_an_approval_for_other_content(file: Path, survey: Survey) -> None:
    signed = {"on": "2026-11-20", "digest": read(survey, answers(survey)).digest(survey)}
    path = write_context(file, answers(survey) | {"approval": signed})
    assert hushtally("check", file).stderr == ""
    write_context(file, answers(survey) | {"approval": signed, "benefits": "More sales."})
    assert hushtally("check", file).stderr == (
        f"Warning: {path}: card.approval: the card that was approved on 2026-11-20 had other content; write the card"
        " again, and sign it again\n"
    )


def test_check_says_nothing_about_a_card_that_does_not_exist(file: Path) -> None:
    assert "card" not in hushtally("check", file).output
