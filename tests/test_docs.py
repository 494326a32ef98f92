"""The reference states what the code does: fields, keys, reasons, metrics, tables, variables; a backup is restored."""

import ast
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from hushtally import Client, Survey
from hushtally.aggregator.row import Row
from hushtally.cli import COMMANDS as CLI
from hushtally.client_sdk.explain.data_use import ARRIVAL_ORDER
from hushtally.client_sdk.mechanisms import NAMES
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MAX_BYTES, MAX_REPORTS, Batch, Reason, Report
from hushtally.client_sdk.survey.signals import Function
from hushtally.collector.admission import admit
from hushtally.collector.metrics import Metrics
from hushtally.collector.sqlite_store import SqliteStore
from page_text import DOCS, ROOT, customers, read, table

README = read("README.md")


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A newcomer's folder and environment, with the command on the path."""
    home = tmp_path_factory.mktemp("home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return home, {**os.environ, "PATH": path, "HOME": str(home)}


@pytest.fixture(scope="module")
def survey(newcomer):
    """The survey file that the README begins with."""
    home, environment = newcomer
    subprocess.run(["hushtally", "survey", "new", "shopping-habits.toml"], cwd=home, env=environment, check=True)
    return home / "shopping-habits.toml"


def test_the_readme_is_short_and_begins_with_the_two_commands():
    """`make demo` and `make test` are on the first screen; every command that a newcomer needs is there."""
    assert len(README.splitlines()) <= 170
    assert README.index("make demo") < README.index("make test") < README.index("$ hushtally")
    assert len(README[: README.index("make test")].splitlines()) < 20
    commands = re.findall(r"^\$ hushtally (\w+)", README, re.MULTILINE)
    assert set(commands) == {"survey", "tune", "simulate", "audit", "serve", "estimate"} <= set(CLI)


@pytest.mark.parametrize("page", ["README.md", "docs/howto/operate.md"])
def test_the_order_of_arrival_has_one_wording(page):
    """The pages say the same as the consent text and the card."""
    assert ARRIVAL_ORDER in " ".join(read(page).split())


def test_the_sdk_in_ten_lines_is_ten_statements():
    [program] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(ast.parse(program).body) <= 10


def test_the_survey_in_the_readme_is_the_one_that_is_written(survey):
    """The lines of a survey that the README shows stand in the file that `survey new` writes."""
    written = {re.sub(r"\s+", " ", line) for line in survey.read_text(encoding="utf-8").splitlines()}
    shown = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
    missing = {re.sub(r"\s+", " ", line) for line in shown.splitlines()} - written
    assert not missing


def test_the_reference_of_the_survey_file_is_sound(survey):
    """Every snippet of the reference reads as part of a survey; its fields are those that a resolved survey has."""
    reference = read("docs/reference/survey.md")
    written = survey.read_text(encoding="utf-8")
    head = written[: written.index("[cohorts]")]
    snippets = re.findall(r"```toml\n(.*?)```", reference, re.DOTALL)
    asked = Survey.parse(head + "\n".join(snippets))
    assert [question.id for question in asked.questions] == ["frequency", "affinity", "basket", "frequency_x_affinity"]
    assert asked.question("basket").segments == ("0-20", "20-50", "50+", "none")
    stated = {*asked.resolved, *asked.resolved["privacy"], "epsilon_permanent", "changes", *Function, *NAMES}
    assert [field for field in stated if f"`{field}`" not in reference and field not in reference] == []


@pytest.fixture(scope="module")
def collected(newcomer):
    """The folder and environment of the page on estimates, with its database."""
    home, environment = newcomer
    # the clock of the page, because counts are erased in the end
    page_time = {
        "PYTHONPATH": f"{DOCS / '_clock'}{os.pathsep}{ROOT}",
        "HUSHTALLY_PAGE_TIME": "2026-11-30T12:00:00+00:00",
    }
    environment = environment | page_time
    subprocess.run([sys.executable, DOCS / "_setup" / "two_weeks.py"], cwd=home, env=environment, check=True)
    return home, environment


def test_the_page_on_rows_has_every_key_and_says_when_it_is_null(collected):
    """In the order of the contract; compared with a row that is published and one that is not."""
    home, environment = collected
    command = ["hushtally", "estimate", "shopping-habits", "--by", "platform", "--format", "json"]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=True)
    rows = {row["published"]: row for row in json.loads(done.stdout)}
    null = {
        "never": lambda key: rows[True][key] is not None and rows[False][key] is not None,
        "published": lambda key: rows[True][key] is None and rows[False][key] is not None,
        "another kind": lambda key: rows[True][key] is None and rows[False][key] is None,
        "not published": lambda key: rows[True][key] is not None and rows[False][key] is None,
    }
    types = {"string": str, "integer": int, "number": float, "boolean": bool, "object of strings": dict}
    stated = table(read("docs/reference/rows.md"), "| key |")
    keys = [key.strip("`") for key, *_ in stated]
    assert keys == [field.name for field in fields(Row)]
    assert [key for key, (*_, when) in zip(keys, stated, strict=True) if not null[when](key)] == []
    for key, (_, kind, *_) in zip(keys, stated, strict=True):
        value = rows[key != "reason"][key]
        assert kind in types
        assert value is None or type(value) is types[kind], key
    assert sum(map(sum, customers().values())) == 4_504
    assert "4,504 invented customers" in read("docs/howto/read-estimates.md")


def test_the_page_on_the_protocol_has_every_reason_kind_and_limit():
    """The closed lists of the code, no more and no less, and the limits of a batch."""
    page = read("docs/reference/protocol.md")
    reasons = re.findall(r"^\| `(\w+)` \| (?:is|has|names|does)", page, re.MULTILINE)
    assert {reason for reason in reasons if reason in list(Reason)} == set(Reason)
    kinds = re.findall(r"^\| (\d+) \| `(urn:hushtally:\w+)` \|", page, re.MULTILINE)
    assert [(int(status), kind) for status, kind in kinds] == [(one.status, one.type) for one in Refused]
    assert f"{MAX_BYTES:,} bytes" in page
    assert f"1 to {MAX_REPORTS:,} reports" in page
    batch = json.loads(re.search(r"```json\n(\{\n.*?)```", page, re.DOTALL)[1].replace("…", ""))
    assert Batch.decode(json.dumps(batch).encode()).reports[0].epoch == "2026-W48"


def test_the_page_on_metrics_has_every_metric_with_its_type_and_labels(survey):
    page = read("docs/reference/metrics.md")
    text = Metrics([Survey.load(survey)]).text(can_count=True)
    stated = {name.strip("`"): (kind, set(re.findall(r"\w+", labels))) for name, kind, labels, _ in table(page, "# ")}
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    labels = {
        name: set(re.findall(r"(\w+)=", inner or "")) for name, inner in re.findall(r"^(hush\w+)({.*})? ", text, re.M)
    }
    assert stated == {name: (kind, labels[name]) for name, kind in types.items()}
    assert {kind.name.lower() for kind in Refused} <= set(re.findall(r"`(\w+)`", page))
    alerts = read("docs/howto/operate.md")
    assert set(re.findall(r"`(hushtally_\w+)", alerts)) <= set(types)


def columns(connection):
    """The columns of every table of a database."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


@pytest.mark.parametrize("kind", ["device", "collector"])
def test_the_page_on_files_has_every_table_and_column(kind, survey, tmp_path):
    """Of the files that the shipped code makes, in any order of columns."""
    page = read("docs/reference/files.md")
    path = tmp_path / "file.db"
    if kind == "device":
        collector = "https://tally.shop.example"
        Client(Survey.load(survey), collector=collector, state=path, cohort={"platform": "web"}).close()
    else:
        SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        made = columns(connection)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    heading = {"device": "## The state file of a device", "collector": "## The database of the collector"}[kind]
    stated, last = {}, None
    for name, listed, _ in table(page, heading):
        last = name.strip("`") or last
        stated.setdefault(last, []).extend(re.findall(r"`(\w+)`", listed))
    assert {name: sorted(listed) for name, listed in stated.items()} == {
        name: sorted(listed) for name, listed in made.items()
    }
    assert f"`{application:#x}`" in page


def test_the_page_on_environment_variables_has_every_one_that_the_code_reads():
    page = read("docs/reference/environment.md")
    found = set()
    for package in ("client_sdk", "collector", "aggregator", "simulations", "hushtally"):
        for path in (ROOT / package).rglob("*.py"):
            found |= set(
                re.findall(r"(?:environ\.get\(|environ\[|envvar=)\s*\"(\w+)\"", path.read_text(encoding="utf-8"))
            )
    assert found == {"DO_NOT_TRACK", "HUSHTALLY_DISABLED", "HUSHTALLY_DATABASE", "HUSHTALLY_NO_PROGRESS", "TERM"}
    assert [name for name in found if f"`{name}`" not in page] == []


def test_the_page_for_operators_restores_a_backup(newcomer, survey, tmp_path):
    """Its commands, after a crash that left a log: the collector then has what the backup has, and no more."""
    page = read("docs/howto/operate.md")
    steps = re.findall(r"^\$ ((?:mkdir|cp) .*)$", page, re.MULTILINE)
    assert [step.split()[0] for step in steps] == ["mkdir", "cp"]
    asked = Survey.load(survey)
    reports = (Report("frequency", asked.epoch.label(asked.starts), {"platform": "web"}, 0),)
    (tmp_path / "crashed").mkdir()
    store = SqliteStore(tmp_path / "hushtally.db")
    store.register([asked])
    for number in range(8):
        store.add(
            [admit(Batch(f"{number:032}", asked.id, asked.version, asked.digest, reports), [asked], asked.starts)]
        )
        if number == 2:
            with closing(sqlite3.connect(tmp_path / "hushtally.db")) as connection:
                connection.execute("VACUUM INTO ?", (str(tmp_path / "crashed" / "copy-2026-11-24.db"),))
    for name in ("hushtally.db", "hushtally.db-wal", "hushtally.db-shm"):
        shutil.copy(tmp_path / name, tmp_path / "crashed" / name)  # as a crash leaves them
    store.close()
    for step in steps:
        subprocess.run(step, shell=True, cwd=tmp_path / "crashed", check=True)
    with closing(sqlite3.connect(tmp_path / "crashed" / "hushtally.db")) as connection:
        assert connection.execute("SELECT sum(count) FROM counts").fetchone() == (3,)
