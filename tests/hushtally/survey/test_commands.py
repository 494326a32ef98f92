import errno
import shlex
import tomllib
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.survey import commands

DAYS = [date(2026, 11, 2) + timedelta(days=step) for step in (*range(15), 100, 175, 181, 182, 183, 1216)]


def hushtally(*arguments):
    return CliRunner().invoke(main, ["survey", *map(str, arguments)])


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "survey.toml"
    path.write_text(commands.example(date(2026, 11, 2)), encoding="utf-8")
    return path


def test_check_says_that_a_sound_survey_is_sound(sound, monkeypatch):
    """On stdout the file, the survey and its digest, and how much its fewest reports tell; exit 0."""
    monkeypatch.setattr(commands, "utc_today", lambda: date(2026, 11, 2))
    result = hushtally("check", sound)
    digest = Survey.load(sound).digest
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{sound}: shopping-habits v1 is sound; digest {digest}",
        f"{sound}: from 500 reports, the fewest that are published, a 95% interval is about ±14 points"
        " (frequency_x_returned)",
    ]


def test_check_warns_of_a_survey_that_is_over(sound, monkeypatch):
    """It is sound all the same: the warning is on stderr, and the exit is 0."""
    monkeypatch.setattr(commands, "utc_today", lambda: date(2027, 5, 3))
    result = hushtally("check", sound)
    assert result.exit_code == 0
    assert "is sound" in result.stdout
    expected = "ends: the survey was over on 2027-05-02: no device answers it any more"
    assert result.stderr == f"Warning: {sound}: {expected}\n"


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("300", 100), ("10", 50)])
def test_explain_fits_a_narrow_terminal(sound, monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    lengths = [len(line) for line in hushtally("explain", sound).stdout.splitlines()]
    assert width - 10 < max(lengths) <= width


def test_explain_says_what_a_survey_asks_and_reveals(sound):
    """The purpose, the owner, every question that is asked and the lifetime epsilon are in the text."""
    result = hushtally("explain", sound)
    survey = Survey.load(sound)
    assert (result.exit_code, result.stderr) == (0, "")
    chosen = "direct, epsilon 1: p 0.4754, q 0.1749, 4 symbols (1 byte), variance 1.000 times the optimum"
    assert result.stdout.index("For those who check:") > result.stdout.index("What you can do")
    for text in (survey.title, survey.purpose, survey.owner, *(one.id for one in survey.asked), "epsilon 7", chosen):
        assert text in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", ["check", "explain"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        ("directory", "cannot be read: Is a directory"),
        (b"id = '\xff'", "is not a UTF-8 text file"),
        (b"id: shop", "is not valid TOML: Expected '=' after a key in a key/value pair"),
        (b"[[" * 3000, "is not valid TOML: "),
        (
            b"a = " + b"[" * 9000,
            "cannot be parsed: the TOML is nested too deeply or contains a number with too many digits",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_exit_1(tmp_path, command, content, problem):
    """The line begins with the file and gives the reason; there is no traceback and nothing on stdout."""
    path = tmp_path / "survey.toml"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    result = hushtally(command, path)
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"Error: {path}: {problem}")


@pytest.mark.parametrize("command", ["check", "explain"])
def test_every_mistake_is_a_line_that_begins_with_the_file(sound, command):
    """A survey with three mistakes names all three, each with `Error:` and its place; exit 1."""
    text = sound.read_text(encoding="utf-8")
    for old, new in (
        ("epsilon = 1.0 ", "epsilon = 80 "),
        ('when = "2 <= orders_90d', 'when = "2 <= order_90d'),
        ("[0, 20", "[20, 0"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    sound.write_text(text, encoding="utf-8")
    result = hushtally(command, sound)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"Error: {sound}: privacy.epsilon: must be a number between 0.01 and 8, got 80",
        (
            f"Error: {sound}: questions[0] (frequency).segments[2] (regular).when: "
            "unknown signal 'order_90d'; did you mean 'orders_90d'?"
        ),
        (
            f"Error: {sound}: questions[4] (basket).edges: "
            "must be in ascending order without duplicates, got [20, 0, 50, 100, 200]"
        ),
    ]


@pytest.mark.parametrize(("value", "shown"), [("0", "0"), ("-1", "-1"), ("80", "80"), ('"1"', "'1'"), ("nan", "nan")])
def test_an_impossible_epsilon_is_named(sound, value, shown):
    """Epsilon 0, negative, too large, text or no number: the range and what came."""
    sound.write_text(sound.read_text().replace("epsilon = 1.0", f"epsilon = {value}"))
    result = hushtally("check", sound)
    assert result.exit_code == 1
    expected = f"privacy.epsilon: must be a number between 0.01 and 8, got {shown}"
    assert result.stderr == f"Error: {sound}: {expected}\n"


@pytest.mark.parametrize("today", DAYS)
def test_new_writes_a_survey_that_is_sound_on_any_day(tmp_path, monkeypatch, today):
    """The example moves with the day: it starts in this week, runs for 26 weeks, and is otherwise the same."""
    monkeypatch.setattr(commands, "utc_today", lambda: today)
    path = tmp_path / "new.toml"
    written = hushtally("new", path)
    assert (written.exit_code, written.stdout) == (0, "")
    assert written.stderr == f"wrote {path}; next: hushtally survey check {path}\n"
    assert hushtally("check", path).exit_code == 0
    survey = Survey.load(path)
    assert survey.runs(today)
    assert (today - survey.starts).days < 7
    assert survey.epochs == 26
    fixed = tomllib.loads(commands.example(date(2026, 11, 2)))
    moved = tomllib.loads(path.read_text(encoding="utf-8"))
    assert {key for key in fixed if fixed[key] != moved[key]} <= {"starts", "ends"}


def test_new_names_a_command_that_works(tmp_path):
    """A name with a blank is quoted, as a shell wants it."""
    path = tmp_path / "my survey.toml"
    command = hushtally("new", path).stderr.partition("next: hushtally survey ")[2]
    assert hushtally(*shlex.split(command)).exit_code == 0


def test_new_takes_the_day_in_utc(tmp_path):
    """Without a day given the example runs today."""
    path = tmp_path / "new.toml"
    hushtally("new", path)
    assert Survey.load(path).runs(commands.utc_today())


@pytest.mark.parametrize("there", ["file", "directory", "dangling link"])
def test_new_overwrites_nothing(tmp_path, there):
    """What is there stays as it is; one line and exit 1."""
    path = tmp_path / "new.toml"
    if there == "file":
        path.write_text("mine")
    elif there == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    result = hushtally("new", path)
    assert (result.exit_code, result.stdout) == (1, "")
    why = f"is a folder: name a file, like {path}/survey.toml" if there == "directory" else "is there already"
    assert result.stderr == f"Error: {path} {why}\n"
    assert not (tmp_path / "nowhere").exists()
    assert there != "file" or path.read_text() == "mine"


def test_new_says_why_it_cannot_write(tmp_path):
    """A folder that is missing is named by the system's reason."""
    path = tmp_path / "missing" / "new.toml"
    result = hushtally("new", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {path} cannot be written: No such file or directory\n"


def test_new_leaves_nothing_half_written(tmp_path, monkeypatch):
    """A disk that fills up leaves no file behind."""

    def full(today):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(commands, "example", full)
    path = tmp_path / "new.toml"
    result = hushtally("new", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {path} cannot be written: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["check"], ["explain"], ["new"], ["chekc", "x"], ["check", "a", "b"], ["check", "-x"]]
)
def test_a_usage_error_is_exit_2(arguments):
    """Arguments that are missing, unknown or too many are click's to say, with exit 2."""
    result = hushtally(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
