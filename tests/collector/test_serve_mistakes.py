"""Mistakes in a call of `hushtally serve`: one clear line each, and no file is created or changed."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hushtally.cli import main
from hushtally.client_sdk.protocol.store_file import COLLECTOR


def run(*arguments: object) -> Result:
    """Runs `serve` in this process, for calls that fail before the server starts."""
    return CliRunner().invoke(main, ["serve", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path, live: Any, text: Callable[..., str]) -> Path:
    path = tmp_path / "survey.toml"
    path.write_text(text(live.today))
    return path


def test_every_mistake_in_every_file_is_reported(tmp_path: Path, file: Path) -> None:
    """One line for each mistake, with its file; exit code 1; no database is created."""
    broken = tmp_path / "broken.toml"
    text = file.read_text().replace("retention_days = 30", "retention_days = 0")
    broken.write_text(text.replace("epsilon = 1.0", "epsilon = 80"))
    missing = tmp_path / "missing.toml"
    result = run(file, broken, missing, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert [line.split(": ")[:3] for line in result.stderr.splitlines()] == [
        ["Error", str(broken), "retention_days"],
        ["Error", str(broken), "privacy.epsilon"],
        ["Error", str(missing), "cannot be read"],
    ]
    assert not (tmp_path / "counts.db").exists()


def test_two_files_of_one_survey_are_refused(tmp_path: Path, file: Path) -> None:
    """This includes equal files and the same file twice. The message has both files and what to do."""
    copy = tmp_path / "copy.toml"
    copy.write_text(file.read_text())
    result = run(file, copy, file, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr == "".join(
        f"Error: {other}: contains habits v1, which {file} also contains; serve only one of the files, or change the"
        " version in one of them\n"
        for other in (copy, file)
    )
    assert not (tmp_path / "counts.db").exists()


def test_a_port_in_use_is_an_error(tmp_path: Path, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(file, "--port", port, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert not (tmp_path / "counts.db").exists()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 300])
def test_an_invalid_host_is_an_error(host: str, tmp_path: Path, file: Path) -> None:
    result = run(file, "--host", host, "--database", tmp_path / "counts.db")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot listen on {host}:8080: ")


@pytest.mark.parametrize("version", [0, 2])
def test_a_database_that_is_refused_is_not_changed(version: int, tmp_path: Path, file: Path) -> None:
    """The database of another program (version 0 here) or of a newer version: one line, exit code 1, the same bytes."""
    path = tmp_path / "counts.db"
    with closing(sqlite3.connect(path)) as connection:
        application = COLLECTOR if version else 0
        connection.executescript(
            f"CREATE TABLE t (a); PRAGMA application_id = {application}; PRAGMA user_version = {version}"
        )
    before = path.read_bytes()
    result = run(file, "--port", 0, "--database", path)
    assert result.exit_code == 1
    newer = "was written by a newer hushtally (schema 2; this version supports 1); upgrade hushtally"
    assert result.stderr == f"Error: {path} {newer if version else 'is not a hushtally database'}\n"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.toml", "--port", "70000"], ["x.toml", "--port", "http"], ["x.toml", "--threads", "0"], ["--nothing"]],
)
def test_a_usage_error_exits_with_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_environment_may_name_the_database(tmp_path: Path, file: Path) -> None:
    """HUSHTALLY_DATABASE is the default of the option, and the help shows the variable."""
    assert "HUSHTALLY_DATABASE" in run("--help").stdout
    missing = tmp_path / "nowhere" / "counts.db"
    result = CliRunner(env={"HUSHTALLY_DATABASE": str(missing)}).invoke(main, ["serve", str(file), "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {missing} cannot be written: the folder {missing.parent} does not exist\n"
