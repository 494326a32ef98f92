"""What holds for every command: any terminal, any name and any mistake gives a result or one clear line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hushtally.cli import COMMANDS, main
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit
from hushtally.collector.sqlite_store import SqliteStore

HUSHTALLY = Path(sys.executable).parent / "hushtally"
NOBODY = 65_534
NAMES = ("plan:free:web", ":smile:", "[bold]", "[/x]", "\\[red]", "книги", "書名", "z" * 60)
SIMULATED = ("--devices", "400000", "--participation", "1.0")

# one call of every command that succeeds; FILE, DATABASE and TRUTH are names of files of the fixture `odd`
TEXT = {
    "check": ("survey", "check", "FILE"),
    "explain": ("survey", "explain", "FILE"),
    "card": ("survey", "card", "FILE"),
    "diff": ("survey", "diff", "FILE", "OTHER"),
    "purge": ("purge", "--database", "DATABASE"),
    "estimate": ("estimate", "FILE", "--database", "DATABASE", "--by", "platform"),
    "tune": ("tune", "FILE", *SIMULATED, "--target", "0.03", "--epsilon", "1", "--draw"),
    "simulate": ("simulate", "FILE", *SIMULATED, "--truth", "TRUTH", "--draw"),
    "repeat": ("simulate", "FILE", *SIMULATED, "--repetitions", "2"),
    "audit": ("audit", "FILE", "--branches", "100", "--trials", "1000"),
}
DATA = {
    "explain": (*TEXT["explain"], "--format", "json"),
    "diff": (*TEXT["diff"], "--format", "json"),
    "estimate-json": (*TEXT["estimate"], "--format", "json"),
    "estimate-csv": (*TEXT["estimate"], "--format", "csv"),
    "tune-json": (*TEXT["tune"], "--format", "json"),
    "simulate-json": (*TEXT["simulate"], "--format", "json"),
    "simulate-csv": (*TEXT["simulate"], "--format", "csv"),
    "audit-json": (*TEXT["audit"], "--format", "json"),
    "audit-csv": (*TEXT["audit"], "--format", "csv"),
}


def parameters(commands: dict[str, tuple[str, ...]]) -> list[object]:
    """The commands of a table as parameters; an audit takes seconds."""
    slow = pytest.mark.slow
    return [
        pytest.param(command, id=name, marks=[slow] if name.startswith("audit") else [])
        for name, command in commands.items()
    ]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A survey, its database and its true shares, all with names that rich, a shell or an encoding could change."""
    folder = tmp_path_factory.mktemp("odd")
    today = datetime.now(UTC).date()
    categories = ", ".join(json.dumps(name, ensure_ascii=False) for name in NAMES)
    survey = f"""
        id = "odd"
        version = 1
        title = "Покупки [bold] :smile:"
        purpose = "We count which plans are used, to decide what to build."
        owner = "insights@shop.example"
        starts = {today - timedelta(days=today.weekday() + 7)}
        ends = {today - timedelta(days=today.weekday() - 13)}
        epoch = "week"
        min_reports = 1
        [privacy]
        epsilon = 1.0
        [cohorts]
        platform = ["os:new:x", "[i]", "сайт"]
        [signals]
        plan = {{ top = "visit.plan", days = 7 }}
        [[questions]]
        id = "plan"
        title = "Which plan you use ±"
        one_of = "plan"
        categories = [{categories}]
    """
    files = {"FILE": folder / "odd.toml", "OTHER": folder / "other.toml", "DATABASE": folder / "counts.db"}
    files["FILE"].write_text(survey, encoding="utf-8")
    files["OTHER"].write_text(survey.replace("книги", "[u]книга"), encoding="utf-8")
    files["TRUTH"] = folder / "shares[b]:smile:.csv"
    with files["TRUTH"].open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question", "segment", "share"), *(("plan", name, 1 / 8) for name in NAMES)])
    found = Survey.load(files["FILE"])
    with closing(SqliteStore(files["DATABASE"])) as store:
        store.register([found])
        for number in range(200):
            cohort = {"platform": found.cohorts["platform"][number % 3]}
            symbol = number % found.question("plan").mechanism.symbols
            report = Report("plan", found.epoch.label(today), cohort, symbol)
            store.add([admit(Batch(f"{number:032x}", found.id, 1, found.digest, (report,)), [found], today)])
    return files


def run(files: dict[str, Path], command: tuple[str, ...], encoding: str = "utf-8") -> Result:
    """Runs a command in a terminal of some encoding."""
    return CliRunner(charset=encoding).invoke(main, [str(files.get(word, word)) for word in command])


def test_every_command_is_in_these_tests() -> None:
    """`survey new` writes nothing but a constant; `serve` and `demo` have tests of their own, with real processes."""
    assert {command[0] for command in TEXT.values()} | {"serve", "demo"} == set(COMMANDS)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251"])
@pytest.mark.parametrize("command", parameters(TEXT))
def test_a_terminal_of_any_encoding_gets_a_result(
    odd: dict[str, Path], command: tuple[str, ...], encoding: str
) -> None:
    """A character that the terminal cannot show is escaped. Nothing else changes."""
    plain, done = run(odd, command), run(odd, command, encoding)
    assert (done.exit_code, done.exception) == (plain.exit_code, plain.exception) == (0, None), done.output
    done.stdout_bytes.decode(encoding)
    assert "Traceback" not in done.stderr
    if "книги" in plain.stdout:
        shown = "книги" if encoding == "cp1251" else r"\u043a\u043d\u0438\u0433\u0438"
        assert shown in done.stdout


@pytest.mark.parametrize("command", parameters(DATA))
def test_json_and_csv_are_utf_8_everywhere(odd: dict[str, Path], command: tuple[str, ...]) -> None:
    """A program that reads the output finds the same bytes in every locale, with the names as written."""
    plain, done = run(odd, command), run(odd, command, "latin-1")
    assert (plain.exit_code, done.exit_code) == (0, 0)
    text = done.stdout_bytes.decode("utf-8")
    if "audit" not in command:  # which has the day and random figures
        assert text == plain.stdout
    read = json.loads(text) if "json" in command else list(csv.DictReader(io.StringIO(text)))
    assert read
    if command[0] in ("estimate", "simulate"):
        assert {row["segment"] for row in read} == {*NAMES, "other"}


@pytest.mark.parametrize("command", ["estimate", "simulate", "repeat"])
def test_a_table_shows_names_as_written(odd: dict[str, Path], command: str) -> None:
    """Not as markup, and not as an emoji. The longest name is cut or broken, so that the table stays a table."""
    lines = run(odd, TEXT[command]).stdout.splitlines()
    rows = {line.split("  ")[0].strip() for line in lines}
    assert set(NAMES[:-1]) - rows == set()
    assert max(map(len, lines[: lines.index("")])) <= 100
    if command == "estimate":
        assert [name for name in ("platform=os:new:x", "platform=[i]", "platform=сайт") if name in lines[0]]
        assert len({line.rindex("%") for line in lines if "%" in line and "interval" not in line and ":" not in line})


def test_a_chart_and_a_message_show_names_as_written(odd: dict[str, Path]) -> None:
    """With --draw, and in the line that names the file with the true shares."""
    out = run(odd, TEXT["simulate"]).stdout
    chart = out[out.index("=o=") :]
    assert [name for name in NAMES[:-1] if name not in chart] == []
    assert f"True shares: {odd['TRUTH']}." in out


def test_a_name_in_a_database_cannot_control_the_terminal(tmp_path: Path) -> None:
    """Whoever can write the database chooses its names. Lists, errors and tables show escapes."""
    path, name = tmp_path / "counts.db", "a\x1b]0;b\x07\r\x1b[2J"
    with closing(SqliteStore(path)) as store:
        sql = "INSERT INTO surveys (id, version, digest, definition) VALUES (?, 1, 'x', ?)"
        store._database.conn.execute(sql, (name, '{"title": "\x1b[31m"}'))
        store._database.conn.execute("INSERT INTO cells VALUES (1, ?, 1, 'q', '{}', '2026-W45')", (name,))
    for command, status in (
        (("purge", "--database", str(path)), 1),
        (("estimate", "other", "--database", str(path)), 1),
        (("estimate", name, "--database", str(path)), 1),
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == status
        assert r"a\x1b]0;b\x07\r\x1b[2J" in done.output
        assert done.output.replace("\n", "").isprintable()


def name_of(path: bytes) -> str:
    return os.fsdecode(path)


@pytest.fixture
def unusual(tmp_path: Path, odd: dict[str, Path]) -> dict[str, Path]:
    """The same files under names that are not UTF-8 and contain control characters."""
    folder = name_of(os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m")
    try:
        Path(folder).mkdir()
    except OSError:
        pytest.skip("this file system refuses such a name")
    for path in odd.values():
        (Path(folder) / path.name).write_bytes(path.read_bytes())
    return {word: Path(folder) / path.name for word, path in odd.items()}


@pytest.mark.parametrize("command", parameters(TEXT))
def test_a_file_of_any_name_can_be_used(unusual: dict[str, Path], command: tuple[str, ...]) -> None:
    """The name is shown with escapes."""
    done = run(unusual, command)
    assert (done.exit_code, done.exception) == (0, None), done.output
    assert done.output.replace("\n", "").isprintable()
    if "TRUTH" in command or "check" in command:
        assert r"caf\udce9\x1b[31m" in done.output


@pytest.mark.parametrize("command", ["tune", "simulate"])
def test_every_output_may_have_any_name(unusual: dict[str, Path], command: str) -> None:
    """A page, pictures, a new survey and a card. The page can show the name of its input."""
    folder = unusual["FILE"].parent
    page, pictures = folder / "page\x1b.html", folder / "new\x1b"
    done = run(unusual, (*TEXT[command], "--output", str(page), "--pictures", str(pictures)))
    assert (done.exit_code, done.exception) == (0, None), done.output
    assert "<html" in page.read_text(encoding="utf-8")
    assert {path.suffix for path in pictures.iterdir()} == {".svg", ".png"}
    if command == "simulate":
        assert r"caf\udce9" in page.read_text(encoding="utf-8")
    for write in (
        ("survey", "new", str(folder / "n\x07.toml")),
        ("survey", "card", "FILE", "--output", str(page) + "x"),
    ):
        done = run(unusual, write)
        assert (done.exit_code, done.exception) == (0, None), done.output
        assert done.output.replace("\n", "").isprintable()


# a command that reads INPUT, for every way of reading a file
INPUTS = {
    "check": ("survey", "check", "INPUT"),
    "explain": ("survey", "explain", "INPUT"),
    "card": ("survey", "card", "INPUT"),
    "diff": ("survey", "diff", "FILE", "INPUT"),
    "serve": ("serve", "INPUT", "--port", "0", "--database", "NEW"),
    "served": ("serve", "FILE", "--port", "0", "--database", "INPUT"),
    "purge": ("purge", "--database", "INPUT"),
    "survey": ("estimate", "INPUT", "--database", "DATABASE"),
    "estimate": ("estimate", "odd", "--database", "INPUT"),
    "tune": ("tune", "INPUT", "--devices", "1000"),
    "truth": ("tune", "FILE", "--devices", "1000", "--truth", "INPUT"),
    "simulate": ("simulate", "INPUT", "--devices", "1000"),
    "then": ("simulate", "FILE", "--devices", "1000", "--epochs", "2", "--change", "0.1", "--then", "INPUT"),
    "audit": ("audit", "INPUT"),
}


@pytest.fixture
def inputs(odd: dict[str, Path]) -> Iterator[dict[str, Path]]:
    """Files that no command can use, as they are for an ordinary user."""
    for command in COMMANDS:  # import all code while root can still read it
        CliRunner().invoke(main, [command, "--help"])
    "localhost".encode("idna")  # which imports a codec
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in odd.values():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "directory").mkdir()
        (folder / "binary").write_bytes(bytes(range(256)) * 20)
        (folder / "prose").write_text("This is neither a survey nor a table nor a database.\n" * 9)
        (folder / "unreadable").write_text("secret")
        (folder / "unreadable").chmod(0)
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield {word: folder / path.name for word, path in odd.items()} | {"NEW": folder / "new.db"}
        os.seteuid(os.getuid())
        (folder / "unreadable").chmod(0o600)


KINDS = ("directory", "binary", "prose", "unreadable", "missing", "odd.toml/inside")
NO_FAILURE = {("served", "missing"), ("then", "missing"), ("then", "odd.toml/inside")}  # a new database; not a shape


@pytest.mark.parametrize(
    ("command", "kind"), [(command, kind) for command in INPUTS for kind in KINDS if (command, kind) not in NO_FAILURE]
)
def test_a_file_that_cannot_be_used_is_one_clear_line(inputs: dict[str, Path], command: str, kind: str) -> None:
    """The command exits with 1, the line names the file, and no file appears."""
    path = inputs["FILE"].parent / kind
    before = sorted(inputs["FILE"].parent.iterdir())
    done = run(inputs | {"INPUT": path}, INPUTS[command])
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert re.fullmatch(rf"Error: .*{re.escape(kind)}.*\n", done.stderr), done.stderr
    assert sorted(inputs["FILE"].parent.iterdir()) == before


@pytest.mark.slow
def test_a_locked_database_is_one_clear_line(odd: dict[str, Path], tmp_path: Path) -> None:
    """Another program holds the database for longer than a command waits."""
    path = tmp_path / "counts.db"
    path.write_bytes(odd["DATABASE"].read_bytes())
    code = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "connection.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        for command in (("estimate", "odd", "--database", str(path)), ("purge", "--database", str(path))):
            done = CliRunner().invoke(main, command)
            assert (done.exit_code, done.stdout) == (1, "")
            assert re.fullmatch(r"Error: .*counts\.db: .*database is locked\n", done.stderr)
        holder.communicate("")


INTERRUPTED = {
    "estimate": ("hushtally.aggregator.estimate_cli.Database.open", TEXT["estimate"]),
    "purge": ("hushtally.collector.purge_cli.SqliteStore", TEXT["purge"]),
    "serve": ("hushtally.collector.serve_cli.create_app", ("serve", "FILE", "--port", "0", "--database", "NEW")),
    "check": ("hushtally.survey.commands.advice", TEXT["check"]),
    "new": ("hushtally.survey.new.write_new_file", ("survey", "new", "NEW")),
    "tune": ("hushtally.simulations.tune.command.tune_survey", TEXT["tune"]),
    "simulate": ("hushtally.simulations.simulate.command.run_simulation", TEXT["simulate"]),
    "audit": ("hushtally.simulations.audit.command.audit_survey", TEXT["audit"]),
    "demo": ("hushtally.simulations.demo.command.load_customers", ("demo",)),
}


@pytest.mark.parametrize(("name", "command"), INTERRUPTED.values(), ids=INTERRUPTED)
def test_ctrl_c_is_one_line(
    odd: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, command: tuple[str, ...]
) -> None:
    """The exit status is 130, as of any program that Ctrl-C ends."""

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(name, interrupt)
    done = run(odd | {"NEW": tmp_path / "new.db"}, command)
    signal.signal(signal.SIGTERM, before)  # the demo changes it
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", [*TEXT.values(), *DATA.values()], ids=[*TEXT, *(f"{one}-data" for one in DATA)])
def test_an_output_that_nobody_reads_or_that_is_full_is_no_traceback(
    odd: dict[str, Path], command: tuple[str, ...]
) -> None:
    """`| head` ends a command silently; a full disk is one line; a stderr that is closed or full changes nothing."""
    words = [HUSHTALLY, *(str(odd.get(word, word)) for word in command)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert "Error" not in said
    assert process.returncode == (0 if command[0] == "purge" else 1)  # a purge has done its work
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.endswith("Error: the output cannot be written: No space left on device\n")
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
        assert done.returncode == 0
        assert done.stdout


@pytest.mark.parametrize("command", [("simulate", "FILE", *SIMULATED, "--repetitions", "100000")])
def test_a_command_that_takes_seconds_shows_progress_in_a_pipe(odd: dict[str, Path], command: tuple[str, ...]) -> None:
    """Lines on stderr; results only on stdout. Ctrl-C ends the command with one more line."""
    words = [HUSHTALLY, *(str(odd.get(word, word)) for word in command)]
    environment = os.environ | {"HUSHTALLY_NO_PROGRESS": "0"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=120)
    assert re.fullmatch(r"Simulating 400,000 devices: \d+%, (about .* left|\d+ s so far)\n", line)
    assert (process.returncode, out, rest.splitlines()[-1]) == (130, "", "Interrupted.")
