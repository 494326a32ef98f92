"""Options accept numbers as people write them, and check output paths before the work begins."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.simulations.cli.option_types import Count, OutputFile, OutputFolder, Share

NOBODY = 65_534


@pytest.fixture
def user_folder() -> Iterator[Path]:
    """A folder of an ordinary user, who cannot write everywhere; the test runs as this user."""
    for command in ("demo", "tune", "simulate"):  # import all code while root can still read it
        CliRunner().invoke(main, [command, "--help"])
    with tempfile.TemporaryDirectory() as name:
        if os.getuid() == 0:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield Path(name)
        os.seteuid(os.getuid())


@pytest.fixture
def readonly(user_folder: Path) -> Iterator[Path]:
    """A read-only folder with a read-only file."""
    folder = user_folder / "readonly"
    folder.mkdir()
    (folder / "there").write_text("mine", encoding="utf-8")
    (folder / "there").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--picture", "PATH"],
        ["demo", "--keep", "PATH"],
        ["tune", "EXAMPLE", "--devices", "500000", "--output", "PATH"],
        ["tune", "EXAMPLE", "--devices", "500000", "--pictures", "PATH"],
        ["simulate", "EXAMPLE", "--devices", "500000", "--output", "PATH"],
        ["simulate", "EXAMPLE", "--devices", "500000", "--pictures", "PATH"],
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
def test_a_path_that_cannot_be_written_is_an_error_before_the_work(
    readonly: Path, example: Path, command: list[str], name: str, reason: str
) -> None:
    """The message is the same for every option that writes."""
    path = readonly / name
    folder = command[-2] in ("--pictures", "--keep")
    done = CliRunner().invoke(main, [{"PATH": str(path), "EXAMPLE": str(example)}.get(one, one) for one in command])
    if folder and name == "there":
        assert f"Directory '{path}' is a file." in done.output
    elif folder and name == "no/new":
        assert done.output == f"Error: {path} cannot be written: Permission denied\n"
    else:
        assert done.output == f"Error: {path} cannot be written: {reason}\n"
    assert done.exit_code in (1, 2)


def test_a_survey_that_cannot_be_replaced_is_an_error_before_the_tables(readonly: Path) -> None:
    """--write replaces the file, so the file and its folder must be writable."""
    (readonly.parent / "locked").write_text("", encoding="utf-8")
    (readonly.parent / "locked").chmod(0o444)
    (readonly / "there").chmod(0o644)
    for path in (readonly / "there", readonly.parent / "locked"):
        done = CliRunner().invoke(main, ["tune", str(path), "--devices", "500000", "--write"])
        assert (done.exit_code, done.output) == (1, f"Error: {path} cannot be written: Permission denied\n")


def test_the_check_of_a_path_changes_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine", encoding="utf-8")
    assert OutputFile().convert(str(there), None, None) == there
    assert OutputFile().convert(str(tmp_path / "new"), None, None) == tmp_path / "new"
    assert OutputFolder().convert(str(tmp_path / "a" / "b"), None, None) == tmp_path / "a" / "b"
    assert OutputFile().convert("/dev/null", None, None) == Path("/dev/null")
    assert there.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [there]


@pytest.mark.parametrize(("text", "number"), [("100000", 100_000), ("100,000", 100_000), ("1e5", 100_000), ("7", 7)])
def test_counts_may_be_written_in_several_ways(text: str, number: int) -> None:
    assert Count(1, 10**6).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["1.5", "1,00", "1e-1", "many", "nan", "inf", "1e400", ""])
def test_an_invalid_count_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a whole number; write it like 100000, 100,000 or 1e5"):
        Count(1, 10**6).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "share"), [("0.03", 0.03), ("3%", 0.03), ("2.9 %", 0.029), ("100%", 1.0), (".5", 0.5)]
)
def test_shares_may_be_written_as_percentages(text: str, share: float) -> None:
    assert Share(0, 1).convert(text, None, None) == share


@pytest.mark.parametrize("text", ["3pt", "%", "a third", "3%%", "1e2%%"])
def test_an_invalid_share_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a share; write it like 0\.03 or 3%"):
        Share(0, 1).convert(text, None, None)


def test_the_commands_accept_such_numbers(example: Path) -> None:
    """--devices 1e5 gives the same output as 100000, and --target 3% the same as 0.03."""
    plain, written = (
        CliRunner().invoke(main, ["tune", str(example), "--devices", devices, "--target", target])
        for devices, target in (("100000", "0.03"), ("1e5", "3%"))
    )
    assert plain.exit_code == 0, plain.output
    assert plain.output == written.output


def test_the_help_names_the_type_of_each_option() -> None:
    """The names are words, and no open range shows "None"."""
    for command, expected in (
        ("tune", ("--devices COUNT", "--target SHARE", "--ceiling NUMBER")),
        ("simulate", ("--change SHARE", "--seed COUNT")),
        ("audit", ("--trials COUNT",)),
        ("demo", ("--epsilon NUMBER", "--seed COUNT", "x>=0]")),
    ):
        shown = CliRunner().invoke(main, [command, "--help"]).output
        assert [word for word in expected if word not in shown] == []
        assert "None" not in shown
        assert "RANGE" not in shown


def test_an_unknown_shape_is_an_error_with_the_option(example: Path) -> None:
    """--then also takes a file, and its message mentions files."""
    simulate = ["simulate", str(example), "--devices", "500", "--epochs", "2"]
    for option, message in (
        ("--then", "'nope.csv' is neither a file nor a shape (uniform, zipf:S, geometric:R)"),
        ("--like", "'nope.csv' is not a shape (uniform, zipf:S, geometric:R)"),
    ):
        done = CliRunner().invoke(main, [*simulate, option, "nope.csv"])
        assert done.exit_code == 2
        assert f"Invalid value for '{option}': {message}" in done.output
