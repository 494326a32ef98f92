"""What `grant_consent` and `withdraw_consent` return: whether the decision is stored in the state file."""

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
def locked(state: Path, begin: str = "BEGIN EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """Lock the file as another process does."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute(begin)
        yield other
        other.execute("ROLLBACK")


def stores_consent(state: Path) -> bool:
    """Whether the file contains consent."""
    with closing(sqlite3.connect(state)) as connection:
        return connection.execute("SELECT granted FROM consents").fetchall() == [(1,)]


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 0.05)


def test_a_stored_decision_returns_true(make_client: Make, state: Path) -> None:
    client = make_client(agree=False)
    assert client.grant_consent() is True
    assert stores_consent(state)
    assert client.grant_consent() is True
    assert client.withdraw_consent() is True
    assert not stores_consent(state)


@pytest.mark.usefixtures("short_timeout")
def test_nothing_is_stored_while_another_process_locks_the_file(make_client: Make, state: Path) -> None:
    """Consent must be given again; the next call repeats a withdrawal."""
    client = make_client(agree=False)
    with locked(state):
        assert client.grant_consent() is False
    client.tick()
    assert not stores_consent(state)
    assert client.grant_consent() is True
    with locked(state):
        assert client.withdraw_consent() is False
    assert stores_consent(state)
    client.record("purchase")
    assert not stores_consent(state)


@pytest.mark.usefixtures("short_timeout")
def test_nothing_is_stored_if_the_file_cannot_be_opened(make_client: Make, state: Path) -> None:
    """Both calls try once more to open it."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        client = make_client(agree=False)
        assert client.grant_consent() is False
        assert client.withdraw_consent() is False
        other.execute("ROLLBACK")
    assert client.grant_consent() is True


def test_with_an_opt_out_consent_can_be_withdrawn_but_not_given(
    make_client: Make, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert client.withdraw_consent() is True
    assert client.grant_consent() is False
    assert not stores_consent(state)


def test_nothing_is_stored_after_close(make_client: Make, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    client.close()
    assert client.withdraw_consent() is False
    assert client.grant_consent() is False
    assert stores_consent(state)
    assert caplog.messages == [
        f"{call}: the client was closed; nothing is stored" for call in ("withdraw_consent", "grant_consent")
    ]


def test_a_withdrawal_is_stored_but_not_erased_while_another_process_reads(make_client: Make, state: Path) -> None:
    """The log contains the events until nobody reads the file; the next tick empties it."""
    client = make_client()
    client.record("purchase", category="canary")
    client.status()
    log = state.with_name("state.db-wal")
    with locked(state, "BEGIN") as other:
        other.execute("SELECT * FROM events").fetchall()
        assert client.withdraw_consent() is False
        assert not stores_consent(state)
        assert b"canary" in log.read_bytes()
    client.tick()
    assert b"canary" not in log.read_bytes() + state.read_bytes()
    assert client.withdraw_consent() is True


def test_the_async_client_returns_the_same(survey: Survey, state: Path) -> None:
    async def live() -> list[bool]:
        client = await AsyncClient.open(
            survey, collector="https://x.example", state=state, cohort={"platform": "web"}, transport=Recorder()
        )
        results = [await client.grant_consent(), await client.withdraw_consent()]
        await client.close()
        return [*results, await client.grant_consent(), await client.withdraw_consent()]

    assert asyncio.run(live()) == [True, True, False, False]
