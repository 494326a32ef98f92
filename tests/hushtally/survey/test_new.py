"""`hushtally survey new`: what it asks on a terminal, what it writes without one, and what it never overwrites."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from time import monotonic, sleep

import click
import pytest
from click.testing import CliRunner, Result

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.survey import commands
from hushtally.survey import new as command
from hushtally.survey.template import NAMES, Template

TODAY = date(2026, 12, 2)  # a Wednesday
THIS_MONDAY, NEXT_MONDAY = date(2026, 11, 30), date(2026, 12, 7)
HUSHTALLY = Path(sys.executable).parent / "hushtally"


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> date:
    for module in (command, commands):
        monkeypatch.setattr(module, "utc_today", lambda: TODAY)
    return TODAY


def hushtally(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["survey", *map(str, arguments)])


@pytest.mark.parametrize("name", NAMES)
def test_each_template_is_written_with_its_own_values(tmp_path: Path, today: date, name: str) -> None:
    """Without a terminal nothing is asked. The survey starts next Monday, and `check` has no warning."""
    path = tmp_path / "new.toml"
    result = hushtally("new", path, "--template", name)
    assert (result.exit_code, result.stdout) == (0, "")
    template = Template.load(name)
    assert path.read_text(encoding="utf-8") == template.fill(template.defaults(NEXT_MONDAY))
    survey = Survey.load(path)
    assert (survey.starts, survey.ends) == (NEXT_MONDAY, NEXT_MONDAY + timedelta(weeks=26, days=-1))
    checked = hushtally("check", path)
    assert (checked.exit_code, checked.stderr) == (0, "")


def test_the_result_says_what_comes_next(tmp_path: Path, today: date) -> None:
    """What an observer can conclude, what the app records, and commands whose file name is quoted for a shell."""
    path = tmp_path / "my survey.toml"
    result = hushtally("new", path, "--template", "kiosk")
    quoted = shlex.quote(str(path))
    assert result.stderr.splitlines() == [
        f"wrote {path}: kiosk-visits v1, from 2026-12-07 to 2027-06-06",
        "Lifetime epsilon 3: an observer of all reports of a device who was 10% sure of a segment is then at most 70%"
        " sure.",
        "Edit the questions until they are yours. For these, the app records:",
        '  client.record("visit", seconds=75, language="en")      # when the customer has finished',
        '  client.record("purchase")                              # when the customer has paid',
        "Next:",
        f"  hushtally survey check {quoted}",
        f"  hushtally survey explain {quoted}",
        f"  hushtally tune {quoted} --devices 250000 --target 0.05 --ceiling 3",
    ]
    for line in result.stderr.splitlines()[6:8]:
        assert hushtally(*shlex.split(line)[2:]).exit_code == 0


def test_every_option_is_in_the_survey(tmp_path: Path, today: date) -> None:
    path = tmp_path / "new.toml"
    given = {
        "template": "app", "id": "todo-usage", "title": 'Our "to-do" app', "purpose": "# Why: ½", "owner": "C:\\me",
        "cohort": "ios, 安卓 ,web", "starts": "2026-12-14", "weeks": "10", "epsilon": "1.5",
    }  # fmt: skip
    result = hushtally("new", path, *(word for name, value in given.items() for word in (f"--{name}", value)))
    assert result.exit_code == 0, result.stderr
    survey = Survey.load(path)
    assert (survey.id, survey.title, survey.purpose, survey.owner) == (
        "todo-usage",
        'Our "to-do" app',
        "# Why: ½",
        "C:\\me",
    )
    assert survey.cohorts == {"platform": ("ios", "安卓", "web")}
    assert (survey.starts, survey.ends, survey.privacy.epsilon) == (date(2026, 12, 14), date(2027, 2, 21), 1.5)
    assert survey.lifetime_epsilon == 3


def test_a_survey_can_start_today(tmp_path: Path, today: date) -> None:
    """`today` is the Monday of the current week, so that an answer is due at once."""
    path = tmp_path / "new.toml"
    assert hushtally("new", path, "--starts", "today").exit_code == 0
    assert Survey.load(path).starts == THIS_MONDAY
    assert Survey.load(path).runs(today)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("template", "bank", "'bank' is not one of 'shop', 'media', 'app', 'kiosk'."),
        (
            "id",
            "My survey",
            "must be 1 to 64 characters of a-z, 0-9, '_', '-' and '.', starting with",
        ),
        ("title", "two\nlines", "must be a string of 1 to 200 printable characters, got 'two\\nlines'"),
        ("title", "", "must be a string of 1 to 200 printable characters, got ''"),
        ("purpose", "x" * 2001, "must be a string of 1 to 2000 printable characters, got"),
        ("owner", "\x7f", "must be a string of 1 to 200 printable characters, got '\\x7f'"),
        ("cohort", "web,,ios", "must be a string of 1 to 100 printable characters, got ''"),
        ("cohort", "web, web", "'web' is already in the list; remove the duplicate"),
        ("cohort", ",".join(map(str, range(65))), "must be a list of 1 to 64 strings, got"),
        ("starts", "2026-12-08", "must be a Monday from 2026-11-30 to 2027-11-29, or today, got '2026-12-08'"),
        ("starts", "2026-11-23", "must be a Monday from 2026-11-30 to 2027-11-29, or today, got '2026-11-23'"),
        ("starts", "9999-12-27", "must be a Monday from 2026-11-30 to 2027-11-29, or today, got '9999-12-27'"),
        ("starts", "tomorrow", "must be a Monday from 2026-11-30 to 2027-11-29, or today, got 'tomorrow'"),
        ("weeks", "0", "0 is not in the range 1<=x<=52."),
        ("weeks", "53", "53 is not in the range 1<=x<=52."),
        ("weeks", "many", "'many' is not a valid integer range."),
        ("epsilon", "0.4", "0.4 is not in the range 0.5<=x<=3.0."),
        ("epsilon", "3.1", "3.1 is not in the range 0.5<=x<=3.0."),
        ("epsilon", "nan", "must be a number from 0.5 to 3, got nan"),
    ],
)
def test_a_bad_option_is_a_usage_error(tmp_path: Path, today: date, option: str, value: str, problem: str) -> None:
    """It names the option, what is required and what was given; nothing is written."""
    result = hushtally("new", tmp_path / "new.toml", f"--{option}", value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(f"Error: Invalid value for '--{option}': {problem}")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_required(tmp_path: Path) -> None:
    result = hushtally("new")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == "Error: Missing argument 'FILE'."


@pytest.mark.parametrize("there", ["file", "directory", "dangling link"])
def test_new_overwrites_nothing(tmp_path: Path, there: str) -> None:
    """An existing file stays as it is; there is one line, and the exit status is 1."""
    path = tmp_path / "new.toml"
    if there == "file":
        path.write_text("mine")
    elif there == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    result = hushtally("new", path)
    assert (result.exit_code, result.stdout) == (1, "")
    why = "already exists and was not changed; give another name, or use --force to replace it"
    if there == "directory":
        why = f"is a directory; give a file name, such as {path}/survey.toml"
    assert result.stderr == f"Error: {path} {why}\n"
    assert not (tmp_path / "nowhere").exists()
    assert there != "file" or path.read_text() == "mine"


def test_force_replaces_a_file_but_no_directory(tmp_path: Path) -> None:
    """A symbolic link stays a link, and nothing else is left behind."""
    path, link = tmp_path / "new.toml", tmp_path / "link.toml"
    path.write_text("mine")
    link.symlink_to(path)
    assert hushtally("new", link, "--force").exit_code == 0
    assert link.is_symlink()
    assert Survey.load(path).id == "shopping-habits"
    assert sorted(tmp_path.iterdir()) == [link, path]
    result = hushtally("new", tmp_path, "--force")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path} is a directory; give a file name, such as {tmp_path}/survey.toml\n"


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full while the new file is written."""
    path = tmp_path / "new.toml"
    path.write_text("mine")

    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    result = hushtally("new", path, "--force")
    assert (result.exit_code, result.stderr) == (1, f"Error: {path} cannot be written: No space left on device\n")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "mine"


@pytest.mark.parametrize("option", [[], ["--force"]])
def test_new_states_why_it_cannot_write(tmp_path: Path, option: list[str]) -> None:
    """For a missing directory the line has the reason of the operating system."""
    path = tmp_path / "missing" / "new.toml"
    result = hushtally("new", path, *option)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {path} cannot be written: No such file or directory\n"


def test_every_question_is_explained_by_its_help() -> None:
    """On a terminal, the help of an option is the explanation above its question."""
    options = [option for option in command.new.params if isinstance(option, click.Option)]
    assert len(options) == 11
    assert all(option.help and option.help.endswith(".") for option in options)


class Terminal:
    """A person at a terminal: `survey new` runs on a pseudo-terminal, and its questions are answered one by one."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "500"}
        self.process = subprocess.Popen(
            [HUSHTALLY, "survey", "new", *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def read_until(self, prompt: str) -> str:
        """What is printed until the prompt, which waits for input; until the end if the prompt is empty."""
        found, deadline = "", monotonic() + 60
        while not (prompt and found.endswith(prompt)):
            assert monotonic() < deadline, found
            if not select.select([self.master], [], [], 1.0)[0]:
                continue
            try:
                piece = os.read(self.master, 4096)
            except OSError:  # Linux: the other side is closed
                piece = b""
            if not piece:
                assert not prompt, found
                break
            found += piece.decode().replace("\r\n", "\n")
        return found

    def answer(self, prompt: str, text: str) -> str:
        """Waits for a prompt and types a line; what was printed before."""
        shown = self.read_until(prompt)
        os.write(self.master, f"{text}\n".encode())
        return shown

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal("new.toml", cwd=tmp_path)
    yield opened
    opened.close()


def test_a_person_answers_at_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    """Each question has an explanation and a default; a bad answer is explained and asked again."""
    shown = terminal.answer("Template [shop]: ", "bank")
    assert "media  How people listen and read with us" in shown
    assert "'bank' is not one of" in terminal.answer("Template [shop]: ", "media")
    assert "The survey's name for machines" in terminal.answer("Id [listening-habits]: ", "Pod Casts")
    assert "Error: must be 1 to 64 characters of a-z" in terminal.answer("Id [listening-habits]: ", "podcasts")
    terminal.answer("Title [How people listen and read with us]: ", 'What "listening" means — 🎧')
    terminal.answer("decide what to produce.]: ", "")
    terminal.answer("Owner [insights@media.example]: ", "   ")
    assert "Error: must be a string of 1 to 200" in terminal.answer("Owner [insights@media.example]: ", "me@x.example")
    assert "sent without noise" in terminal.answer("Platform [web, ios, android]: ", "ios, ios")
    assert "Error: 'ios' is already in the list" in terminal.answer("Platform [web, ios, android]: ", "ios,android")
    assert "a Monday on which the app is ready" in terminal.answer("]: ", "tomorrow")
    assert "Error: must be a Monday from" in terminal.answer("]: ", "today")
    terminal.answer("Weeks [26]: ", "100")
    assert "Error: 100 is not in the range 1<=x<=52." in terminal.answer("Weeks [26]: ", "4")
    asked = terminal.answer("Epsilon [1.0]: ", "8")
    assert "at most 24% sure with 1, 46% with 2 and 70% with 3" in asked
    assert "Error: 8.0 is not in the range 0.5<=x<=3.0." in terminal.answer("Epsilon [1.0]: ", "1.5")
    end = terminal.read_until("")
    assert terminal.process.wait(60) == 0
    assert "wrote new.toml: podcasts v1, from " in end
    assert "at most 70% sure." in end
    survey = Survey.load(tmp_path / "new.toml")
    assert (survey.id, survey.title, survey.owner) == ("podcasts", 'What "listening" means — 🎧', "me@x.example")
    assert survey.cohorts == {"platform": ("ios", "android")}
    assert (survey.epochs, survey.privacy.epsilon, survey.lifetime_epsilon) == (4, 1.5, 3.0)


def test_enter_accepts_every_default(tmp_path: Path) -> None:
    """The file is then the one that --defaults writes, and an option that is given is not asked."""
    person = Terminal("asked.toml", "--id", "mine", cwd=tmp_path)
    try:
        shown = "".join(person.answer("]: ", "") for _ in range(8)) + person.read_until("")
        assert person.process.wait(60) == 0
    finally:
        person.close()
    assert "Id [" not in shown
    silent = Terminal("silent.toml", "--id", "mine", "--defaults", cwd=tmp_path)
    try:
        assert silent.read_until("").startswith("wrote silent.toml: mine v1")
    finally:
        silent.close()
    # a Monday begins between the two runs once in 10^6 runs of this test
    assert (tmp_path / "asked.toml").read_text() == (tmp_path / "silent.toml").read_text()


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_ctrl_c_at_a_question_leaves_nothing_behind(key: str, terminal: Terminal, tmp_path: Path) -> None:
    """As everywhere, it prints one line, and the exit status is 130. The end of the input does the same."""
    terminal.answer("Template [shop]: ", "")
    terminal.read_until("Id [shopping-habits]: ")
    if key == "\x03":
        stat = Path(f"/proc/{terminal.process.pid}/stat")
        while stat.exists() and ") S " not in stat.read_text():  # a signal just before the read would not end the read
            sleep(0.01)
        os.kill(terminal.process.pid, signal.SIGINT)  # the terminal of the test is not the process's own
    else:
        os.write(terminal.master, key.encode())
    assert terminal.read_until("").splitlines()[-1] == "Interrupted."
    assert terminal.process.wait(60) == 130
    assert list(tmp_path.iterdir()) == []
