"""`hushtally survey check` and `explain`: their output, their exit status and their errors."""

from datetime import date

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.survey import commands
from hushtally.survey.template import example


def hushtally(*arguments):
    return CliRunner().invoke(main, ["survey", *map(str, arguments)])


@pytest.fixture
def valid(tmp_path):
    path = tmp_path / "survey.toml"
    path.write_text(example(date(2026, 11, 2)), encoding="utf-8")
    return path


def test_check_prints_the_digest_and_the_accuracy_of_a_valid_survey(valid, monkeypatch):
    """Both lines are on stdout; the exit status is 0."""
    monkeypatch.setattr(commands, "utc_today", lambda: date(2026, 11, 2))
    result = hushtally("check", valid)
    digest = Survey.load(valid).digest
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{valid}: shopping-habits v1 is valid; digest {digest}",
        f"{valid}: an estimate from 500 reports (min_reports) has a 95% confidence interval of about ±14 points"
        " (frequency_x_returned)",
    ]


def test_check_states_when_a_later_survey_starts(valid, monkeypatch):
    """This is not a warning: a survey is written before it starts."""
    monkeypatch.setattr(commands, "utc_today", lambda: date(2026, 11, 1))
    result = hushtally("check", valid)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2:] == [f"{valid}: no device answers before 2026-11-02"]


def test_check_warns_of_a_survey_that_has_ended(valid, monkeypatch):
    """The survey is still valid: the warning is on stderr, and the exit status is 0."""
    monkeypatch.setattr(commands, "utc_today", lambda: date(2027, 5, 3))
    result = hushtally("check", valid)
    assert result.exit_code == 0
    assert "is valid" in result.stdout
    expected = "ends: the survey ended on 2027-05-02, so no device answers it any more"
    assert result.stderr == f"Warning: {valid}: {expected}\n"


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("300", 100), ("10", 50)])
def test_explain_fits_a_narrow_terminal(valid, monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    lengths = [len(line) for line in hushtally("explain", valid).stdout.splitlines()]
    assert width - 10 < max(lengths) <= width


def test_explain_says_what_a_survey_asks_and_reveals(valid):
    """The text has the purpose, the owner, every question that is asked, and the lifetime epsilon."""
    result = hushtally("explain", valid)
    survey = Survey.load(valid)
    assert (result.exit_code, result.stderr) == (0, "")
    chosen = "direct, epsilon 1: p 0.4754, q 0.1749, 4 symbols (1 byte), variance 1.000 times the optimum"
    assert result.stdout.index("Technical details:") > result.stdout.index("What you can do")
    for text in (survey.title, survey.purpose, survey.owner, *(one.id for one in survey.asked), "epsilon 3", chosen):
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
def test_a_file_that_cannot_be_read_is_one_line_and_exits_with_1(tmp_path, command, content, problem):
    """The line begins with the file and states the reason. There is no traceback, and nothing on stdout."""
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
def test_every_mistake_is_a_line_that_begins_with_the_file(valid, command):
    """All three mistakes are named, each with `Error:` and its place; the exit status is 1."""
    text = valid.read_text(encoding="utf-8")
    for old, new in (
        ("epsilon = 1.0 ", "epsilon = 80 "),
        ('when = "2 <= orders_90d', 'when = "2 <= order_90d'),
        ("[0, 20", "[20, 0"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    valid.write_text(text, encoding="utf-8")
    result = hushtally(command, valid)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"Error: {valid}: privacy.epsilon: must be a number between 0.01 and 8, got 80",
        (
            f"Error: {valid}: questions[0] (frequency).segments[2] (regular).when: "
            "unknown signal 'order_90d'; did you mean 'orders_90d'?"
        ),
        (
            f"Error: {valid}: questions[4] (basket).edges: "
            "must be in ascending order without duplicates, got [20, 0, 50, 100, 200]"
        ),
    ]


@pytest.mark.parametrize(("value", "shown"), [("0", "0"), ("-1", "-1"), ("80", "80"), ('"1"', "'1'"), ("nan", "nan")])
def test_an_impossible_epsilon_is_named(valid, value, shown):
    """If epsilon is zero, negative, too large, a string or not a number, the line has the range and the value."""
    valid.write_text(valid.read_text().replace("epsilon = 1.0", f"epsilon = {value}"))
    result = hushtally("check", valid)
    assert result.exit_code == 1
    expected = f"privacy.epsilon: must be a number between 0.01 and 8, got {shown}"
    assert result.stderr == f"Error: {valid}: {expected}\n"


@pytest.mark.parametrize("arguments", [["check"], ["explain"], ["chekc", "x"], ["check", "a", "b"], ["check", "-x"]])
def test_a_usage_error_exits_with_2(arguments):
    """click reports arguments that are missing, unknown or too many."""
    result = hushtally(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
