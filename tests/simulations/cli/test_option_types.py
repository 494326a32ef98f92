"""What options take: numbers as people write them, and places that are tried before the work begins."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.simulations.cli.option_types import Count, NewFile, NewFolder, Share

NOBODY = 65_534


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A folder of one's own, as an ordinary user, who cannot write everywhere."""
    for command in ("demo", "tune", "simulate"):  # read all code while one may
        CliRunner().invoke(main, [command, "--help"])
    with tempfile.TemporaryDirectory() as name:
        if os.getuid() == 0:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield Path(name)
        os.seteuid(os.getuid())


@pytest.fixture
def readonly(ordinary: Path) -> Iterator[Path]:
    """A folder that cannot be written, with such a file."""
    folder = ordinary / "readonly"
    folder.mkdir()
    (folder / "there").write_text("mine", encoding="utf-8")
    (folder / "there").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--picture", "PLACE"],
        ["demo", "--keep", "PLACE"],
        ["tune", "EXAMPLE", "--devices", "500000", "--output", "PLACE"],
        ["tune", "EXAMPLE", "--devices", "500000", "--pictures", "PLACE"],
        ["simulate", "EXAMPLE", "--devices", "500000", "--output", "PLACE"],
        ["simulate", "EXAMPLE", "--devices", "500000", "--pictures", "PLACE"],
    ],
)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("new", "Permission denied"),
        ("there", "Permission denied"),
        ("there/new", "Not a directory"),
        ("no/new", "No such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line_before_the_work(
    readonly: Path, example: Path, command: list[str], name: str, reason: str
) -> None:
    """In the same words for every option that writes, for an ordinary user."""
    place = readonly / name
    folder = command[-2] in ("--pictures", "--keep")
    done = CliRunner().invoke(main, [{"PLACE": str(place), "EXAMPLE": str(example)}.get(one, one) for one in command])
    if folder and name == "there":
        assert f"Directory '{place}' is a file." in done.output
    elif folder and name == "no/new":
        assert done.output == f"Error: {place} cannot be written: Permission denied\n"
    else:
        assert done.output == f"Error: {place} cannot be written: {reason}\n"
    assert done.exit_code in (1, 2)


def test_a_survey_that_cannot_be_written_is_said_before_the_tables(readonly: Path) -> None:
    """--write replaces the file, so that both it and its folder must be writable."""
    (readonly.parent / "locked").write_text("", encoding="utf-8")
    (readonly.parent / "locked").chmod(0o444)
    (readonly / "there").chmod(0o644)
    for place in (readonly / "there", readonly.parent / "locked"):
        done = CliRunner().invoke(main, ["tune", str(place), "--devices", "500000", "--write"])
        assert (done.exit_code, done.output) == (1, f"Error: {place} cannot be written: Permission denied\n")


def test_a_try_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine", encoding="utf-8")
    assert NewFile().convert(str(there), None, None) == there
    assert NewFile().convert(str(tmp_path / "new"), None, None) == tmp_path / "new"
    assert NewFolder().convert(str(tmp_path / "a" / "b"), None, None) == tmp_path / "a" / "b"
    assert NewFile().convert("/dev/null", None, None) == Path("/dev/null")
    assert there.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [there]


@pytest.mark.parametrize(("text", "number"), [("100000", 100_000), ("100,000", 100_000), ("1e5", 100_000), ("7", 7)])
def test_counts_are_read_as_people_write_them(text: str, number: int) -> None:
    assert Count(1, 10**6).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["1.5", "1,00", "1e-1", "many", "nan", "inf", "1e400", ""])
def test_what_is_no_count_is_told_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a whole number; write it like 100000, 100,000 or 1e5"):
        Count(1, 10**6).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "share"), [("0.03", 0.03), ("3%", 0.03), ("2.9 %", 0.029), ("100%", 1.0), (".5", 0.5)]
)
def test_shares_are_read_as_people_write_them(text: str, share: float) -> None:
    assert Share(0, 1).convert(text, None, None) == share


@pytest.mark.parametrize("text", ["3pt", "%", "a third", "3%%", "1e2%%"])
def test_what_is_no_share_is_told_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a share; write it like 0\.03 or 3%"):
        Share(0, 1).convert(text, None, None)


def test_the_commands_take_such_numbers(example: Path) -> None:
    """--devices 1e5 is 100,000, and 3% is 0.03, in every output that names them."""
    plain, written = (
        CliRunner().invoke(main, ["tune", str(example), "--devices", devices, "--target", target])
        for devices, target in (("100000", "0.03"), ("1e5", "3%"))
    )
    assert plain.exit_code == 0, plain.output
    assert plain.output == written.output


def test_the_help_says_what_an_option_takes() -> None:
    """In words, and with no end that is none."""
    for command, said in (
        ("tune", ("--devices COUNT", "--target SHARE", "--ceiling NUMBER")),
        ("simulate", ("--change SHARE", "--seed COUNT")),
        ("audit", ("--trials COUNT",)),
        ("demo", ("--epsilon NUMBER", "--seed COUNT", "x>=0]")),
    ):
        shown = CliRunner().invoke(main, [command, "--help"]).output
        assert [words for words in said if words not in shown] == []
        assert "None" not in shown
        assert "RANGE" not in shown


def test_a_shape_that_is_none_is_told_with_its_option(example: Path) -> None:
    """--then takes a file as well, and says so."""
    simulate = ["simulate", str(example), "--devices", "500", "--epochs", "2"]
    for option, said in (
        ("--then", "'nope.csv' is neither a file nor a shape (uniform, zipf:S, geometric:R)"),
        ("--like", "'nope.csv' is not a shape (uniform, zipf:S, geometric:R)"),
    ):
        done = CliRunner().invoke(main, [*simulate, option, "nope.csv"])
        assert done.exit_code == 2
        assert f"Invalid value for '{option}': {said}" in done.output


def test_nothing_goes_to_a_pipe_but_words(example: Path) -> None:
    """Where the progress would be shown there is no terminal: not even an empty line."""
    done = CliRunner().invoke(main, ["simulate", str(example), "--devices", "50000"])
    assert (done.exit_code, done.stderr) == (0, "")
