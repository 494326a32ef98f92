"""The `hushtally` command: it imports a subcommand when called, names a missing extra, and fails with one line."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hushtally import Survey
from hushtally.cli import COMMANDS, main
from hushtally.collector.sqlite_store import SqliteStore

HUSHTALLY = Path(sys.executable).parent / "hushtally"
EXAMPLE = Path(__file__).parents[2] / "hushtally" / "survey" / "templates" / "shop.toml"


def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HUSHTALLY, *arguments],
        cwd="/",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=120,
    )


def without(folder: Path, *packages: str) -> dict[str, str]:
    """The environment variables of a process in which these packages cannot be imported."""
    for package in packages:
        (folder / f"{package}.py").write_text(f"raise ModuleNotFoundError('none', name={package!r})\n")
    return {"PYTHONPATH": str(folder)}


def test_help_lists_every_command():
    """`hushtally --help` has one line about each subcommand."""
    out = CliRunner().invoke(main, ["--help"]).output
    for command in COMMANDS:
        assert f"\n  {command} " in out
    assert "needs the extra" not in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    """Each subcommand can be imported and prints its usage."""
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_the_database_is_the_same_option_everywhere():
    """Collector and aggregator may not import each other, but the option is the same in all commands."""
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
    """A subcommand without its extra says in one line what to install. The other subcommands still work."""
    done = run(command, "anything", "--whatever", **without(tmp_path, package))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"Error: {command} needs {package}, which is not installed; run: pip install 'hushtally[{extra}]'\n"
    )
    assert run("survey", "--help", **without(tmp_path, package)).returncode == 0


def test_the_help_names_missing_extras(tmp_path):
    """The list of commands shows which subcommands need an extra that is missing."""
    done = run("--help", **without(tmp_path, "flask"))
    assert done.returncode == 0
    assert "serve" in done.stdout
    assert "pip install 'hushtally[collector]'" in done.stdout


def test_without_click_there_is_one_line(tmp_path):
    """The base install has only the SDK, so the command says what to install."""
    done = run("--help", **without(tmp_path, "click"))
    assert done.returncode == 1
    assert (
        done.stderr
        == "the hushtally command needs click; run: pip install 'hushtally[all]' (in a checkout: '.[all]')\n"
    )


def test_a_failure_is_one_line():
    """A failed command exits with 1 and one line; a usage error exits with 2."""
    failed = CliRunner().invoke(main, ["estimate", "nothing", "--database", "nowhere.db"])
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: nowhere.db: ")
    assert failed.output.count("\n") == 1
    assert CliRunner().invoke(main, ["estimate"]).exit_code == 2
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exits_with_2_after_a_usage_error(command):
    done = CliRunner().invoke(main, [command, "--nonsense"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")
    assert "--nonsense" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [
        ["survey", "check", "none.toml"],
        ["survey", "explain", "none.toml"],
        ["survey", "card", "none.toml"],
        ["survey", "diff", "none.toml", "none.toml"],
        ["survey", "new", "none/none.toml"],
        ["serve", "none.toml", "--port", "0"],
        ["purge", "--database", "none.db"],
        ["estimate", "none.toml", "--database", "none.db"],
        ["tune", "none.toml", "--devices", "1000"],
        ["simulate", "none.toml", "--devices", "1000"],
        ["audit", "none.toml"],
    ],
    ids=" ".join,
)
def test_every_command_exits_with_1_and_one_line_if_a_file_is_missing(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: none")
    assert done.stderr.count("\n") == 1


def test_the_version_is_that_of_the_distribution():
    """`hushtally --version` prints the installed version."""
    assert CliRunner().invoke(main, ["--version"]).output.startswith("hushtally, version 0.1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", [["survey", "explain", "FILE"], ["--help"], ["--version"], ["survey", "check", "-h"]]
)
def test_an_output_that_cannot_be_written_is_one_line(command):
    arguments = [HUSHTALLY, *(EXAMPLE if word == "FILE" else word for word in command)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OSError(errno.EISDIR, "Is a directory", "here"), "here: Is a directory"),
        (OSError(errno.ENOSPC, "No space left on device", "page.html"), "page.html: No space left on device"),
        (OSError("of another kind"), "of another kind"),
    ],
)
def test_an_error_of_the_operating_system_is_one_line(monkeypatch, error, message):
    """The line names the file. It blames the output only for an error that nothing but a write can cause."""

    def fails(*_):
        raise error

    monkeypatch.setattr("hushtally.survey.commands.Survey.load", fails)
    done = CliRunner().invoke(main, ["survey", "check", "x.toml"])
    assert (done.exit_code, done.output) == (1, f"Error: {message}\n")


def unread(*streams, command):
    """The result of a command of which nobody reads these streams."""
    reader, written = os.pipe()
    os.close(reader)
    outputs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(streams, written)
    done = subprocess.run([HUSHTALLY, *command], **outputs, text=True, check=False)
    os.close(written)
    return done


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["survey", "explain", EXAMPLE],
        ["survey", "card", EXAMPLE],
        ["survey", "check", EXAMPLE],
        ["survey", "diff", EXAMPLE, EXAMPLE],
        ["estimate", EXAMPLE, "--format", "json"],
        ["estimate", EXAMPLE, "--format", "csv"],
        pytest.param(["tune", EXAMPLE, "--devices", "10000"], marks=pytest.mark.slow),
        pytest.param(["tune", EXAMPLE, "--devices", "10000", "--format", "json"], marks=pytest.mark.slow),
        pytest.param(["simulate", EXAMPLE, "--devices", "9", "--repetitions", "1"], marks=pytest.mark.slow),
        pytest.param(["audit", EXAMPLE, "--branches", "9"], marks=pytest.mark.slow),
        pytest.param(["demo", "--customers", "9"], marks=pytest.mark.slow),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_a_reader_that_closes_the_output_early_gets_no_traceback(tmp_path, command):
    """As in `hushtally estimate ... | head -1`. The exit status is not 0, because the output is incomplete."""
    with closing(SqliteStore(tmp_path / "counts.db")) as store:
        store.register([Survey.load(EXAMPLE)])
    if command[0] == "estimate":
        command = [*command, "--database", tmp_path / "counts.db"]
    done = unread("stdout", command=command)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


@pytest.mark.parametrize("arguments", [["--format", "json"], ["--format", "csv"]], ids=" ".join)
def test_a_result_is_complete_if_nobody_reads_the_progress(tmp_path, arguments):
    """The notes go to stderr, which may be a log that is no longer read."""
    with closing(SqliteStore(tmp_path / "counts.db")) as store:
        store.register([Survey.load(EXAMPLE)])
    command = ["estimate", str(EXAMPLE), "--database", str(tmp_path / "counts.db"), *arguments]
    expected = subprocess.run([HUSHTALLY, *command], capture_output=True, text=True, check=True)
    done = unread("stderr", command=command)
    assert expected.stderr
    assert (done.returncode, done.stdout) == (0, expected.stdout)


def test_a_usage_error_exits_with_2_if_nobody_reads_it():
    assert unread("stderr", command=["survey", "nonsense"]).returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("command", ["explain", "card", "check"])
def test_a_character_that_the_output_cannot_encode_is_escaped(tmp_path, command, encoding):
    """A terminal with another encoding never causes a traceback."""
    survey = tmp_path / "survey.toml"
    survey.write_text(EXAMPLE.read_text(encoding="utf-8").replace('"books"', '"книги"'), encoding="utf-8")
    done = run("survey", command, str(survey), PYTHONUTF8="0", PYTHONIOENCODING=f"{encoding}:strict")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize(("command", "status"), [("check", 0), ("explain", 0), ("card", 0), ("new", 1)])
def test_a_file_name_that_is_not_utf_8_is_escaped(tmp_path, command, status):
    name = os.fsencode(tmp_path) + b"/caf\xe9.toml"
    try:
        Path(os.fsdecode(name)).write_bytes(EXAMPLE.read_bytes())
    except OSError:
        pytest.skip("this file system refuses such a name")
    done = run("survey", command, name, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    if command == "check":
        assert "/caf\\udce9.toml: shopping-habits v1 is valid" in done.stdout
