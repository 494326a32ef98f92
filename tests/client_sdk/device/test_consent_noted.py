"""What `grant_consent` and `withdraw_consent` return: whether what the customer said is noted in the state file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hushtally import AsyncClient, Client, Survey
from hushtally.client_sdk.testing import Recorder

Make = Callable[..., Client]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@contextmanager
def held(state: Path, begin: str = "BEGIN EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """As by another process."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute(begin)
        yield other
        other.execute("ROLLBACK")


def noted(state: Path) -> bool:
    """Whether the file says that the customer agrees."""
    with closing(sqlite3.connect(state)) as connection:
        return connection.execute("SELECT granted FROM consents").fetchall() == [(1,)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 0.05)


def test_what_is_noted_is_said_to_be(make_client: Make, state: Path) -> None:
    client = make_client(agree=False)
    assert client.grant_consent() is True
    assert noted(state)
    assert client.grant_consent() is True
    assert client.withdraw_consent() is True
    assert not noted(state)


@pytest.mark.usefixtures("impatient")
def test_nothing_is_noted_while_another_process_holds_the_file(make_client: Make, state: Path) -> None:
    """A consent is to be given again; a withdrawal is tried again by the next call."""
    client = make_client(agree=False)
    with held(state):
        assert client.grant_consent() is False
    client.tick()
    assert not noted(state)
    assert client.grant_consent() is True
    with held(state):
        assert client.withdraw_consent() is False
    assert noted(state)
    client.record("purchase")
    assert not noted(state)


@pytest.mark.usefixtures("impatient")
def test_nor_where_the_file_could_not_be_opened(make_client: Make, state: Path) -> None:
    """Both try it once more."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        client = make_client(agree=False)
        assert client.grant_consent() is False
        assert client.withdraw_consent() is False
        other.execute("ROLLBACK")
    assert client.grant_consent() is True


def test_who_declined_for_the_whole_machine_can_withdraw_but_not_agree(
    make_client: Make, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert client.withdraw_consent() is True
    assert client.grant_consent() is False
    assert not noted(state)


def test_nothing_is_noted_after_close(make_client: Make, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    client.close()
    assert client.withdraw_consent() is False
    assert client.grant_consent() is False
    assert noted(state)
    assert caplog.messages == [
        f"{call} after close: nothing is noted" for call in ("withdraw_consent", "grant_consent")
    ]


def test_a_withdrawal_is_noted_but_not_all_erased_while_another_process_reads(make_client: Make, state: Path) -> None:
    """The log holds what was recorded until nobody reads it; the next tick empties it."""
    client = make_client()
    client.record("purchase", category="canary")
    client.status()
    log = state.with_name("state.db-wal")
    with held(state, "BEGIN") as other:
        other.execute("SELECT * FROM events").fetchall()
        assert client.withdraw_consent() is False
        assert not noted(state)
        assert b"canary" in log.read_bytes()
    client.tick()
    assert b"canary" not in log.read_bytes() + state.read_bytes()
    assert client.withdraw_consent() is True


def test_the_asynchronous_client_says_the_same(survey: Survey, state: Path) -> None:
    async def live() -> list[bool]:
        client = await AsyncClient.open(
            survey, collector="https://x.example", state=state, cohort={"platform": "web"}, transport=Recorder()
        )
        said = [await client.grant_consent(), await client.withdraw_consent()]
        await client.close()
        return [*said, await client.grant_consent(), await client.withdraw_consent()]

    assert asyncio.run(live()) == [True, True, False, False]
