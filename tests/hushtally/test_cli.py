"""The front door: subcommands load when called, say which extra they need, and refuse packages that are not ours."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hushtally.cli import COMMANDS, main

HUSHTALLY = Path(sys.executable).parent / "hushtally"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HUSHTALLY, *arguments], cwd="/", env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


def without(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which these packages cannot be imported."""
    for package in packages:
        (folder / f"{package}.py").write_text(f"raise ModuleNotFoundError('none', name={package!r})\n")
    return {"PYTHONPATH": str(folder)}


def test_help_lists_every_command():
    """`hushtally --help` names each subcommand with a line about it."""
    out = CliRunner().invoke(main, ["--help"]).output
    for command in COMMANDS:
        assert f"\n  {command} " in out
    assert "needs the extra" not in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    """Each subcommand loads and explains itself."""
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_the_database_is_the_same_option_everywhere():
    """Collector and aggregator may not import each other; whoever knows the option of one command knows it of all."""
    found = {
        name: (option.opts, option.envvar, option.default, option.help)
        for name in COMMANDS
        for option in main.get_command(None, name).params
        if option.name == "database"
    }
    assert found.keys() == {"serve", "purge", "estimate"}
    assert len(set(map(repr, found.values()))) == 1


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("serve", "flask", "collector"),
        ("estimate", "numpy", "aggregator"),
        ("demo", "numpy", "simulations"),
        ("tune", "scipy", "simulations"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, command, package, extra):
    """A subcommand whose extra is not installed says which to install, in one line, and others go on working."""
    done = run(command, "anything", "--whatever", **without(tmp_path, package))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"Error: {command} needs {package}, which is not installed; run: pip install 'hushtally[{extra}]'\n"
    )
    assert run("survey", "--help", **without(tmp_path, package)).returncode == 0


def test_the_help_names_missing_extras(tmp_path):
    """The list of commands says what is not there, without failing."""
    done = run("--help", **without(tmp_path, "flask"))
    assert done.returncode == 0
    assert "serve" in done.stdout
    assert "pip install 'hushtally[collector]'" in done.stdout


def test_without_click_there_is_one_line(tmp_path):
    """In the base install, which is the SDK, the command says what it needs."""
    done = run("--help", **without(tmp_path, "click"))
    assert done.returncode == 1
    assert (
        done.stderr
        == "the hushtally command needs click; run: pip install 'hushtally[all]' (in a checkout: '.[all]')\n"
    )


def test_our_errors_are_one_line():
    """A failed command exits with 1 and one line; a wrong call with 2."""
    failed = CliRunner().invoke(main, ["estimate", "nothing", "--database", "nowhere.db"])
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: nowhere.db: ")
    assert failed.output.count("\n") == 1
    assert CliRunner().invoke(main, ["estimate"]).exit_code == 2
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_the_version_is_the_distribution_s():
    """`hushtally --version` says which one is installed."""
    assert CliRunner().invoke(main, ["--version"]).output.startswith("hushtally, version 0.1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_cannot_be_written_is_one_line():
    example = Path(__file__).parents[2] / "hushtally" / "example.toml"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([HUSHTALLY, "survey", "explain", example], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OSError(errno.EISDIR, "Is a directory", "here"), "here: Is a directory"),
        (OSError(errno.ENOSPC, "No space left on device", "page.html"), "page.html: No space left on device"),
        (OSError("of another kind"), "of another kind"),
    ],
)
def test_the_system_s_error_is_one_line_that_claims_no_more(monkeypatch, error, said):
    """Only what a write can meet is said of the output; a file that was named is named."""

    def fails(*_):
        raise error

    monkeypatch.setattr("hushtally.survey.commands.Survey.load", fails)
    done = CliRunner().invoke(main, ["survey", "check", "x.toml"])
    assert (done.exit_code, done.output) == (1, f"Error: {said}\n")


def test_a_reader_that_has_seen_enough_is_no_error():
    example = Path(__file__).parents[2] / "hushtally" / "example.toml"
    with subprocess.Popen(
        [HUSHTALLY, "survey", "explain", example], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
