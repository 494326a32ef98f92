"""A state file that is deleted or replaced while it is open: the failure is reported, and nothing more is written."""

import os
import shutil
import threading

import pytest

from hushtally.client_sdk.device.embedding import Fault
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.silence import Silence

LOST = (
    "the state file {} was deleted or replaced while it was open; this device has lost its contents."
    " If the mark file is still there, the surveys that run now stay silent in a new state file"
)


def delete(path):
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink()


def delete_with_the_mark(path):
    delete(path)
    path.with_name(f"{path.name}.mark").unlink()


def replace(path):
    """Replace the file by an empty one."""
    delete(path)
    path.touch()


def move_the_folder(path):
    path.parent.rename(path.parent.with_name("moved"))


@pytest.fixture
def lived(lab):
    """A client that has answered once, in a folder of its own."""
    lab.folder /= "device"
    lab.path = lab.folder / "state.db"
    lab.first = lab.client(durable=True)
    lab.live(lab.first)
    return lab


@pytest.mark.parametrize("lose", [delete, delete_with_the_mark, replace, move_the_folder])
@pytest.mark.parametrize("call", ["record", "tick", "flush", "status", "explain", "receipts", "close"])
def test_the_next_call_reports_it(lived, caplog, lose, call):
    """Whichever call it is. From then on the client is silent, gives the reason, and creates no file."""
    client, sent = lived.first, len(lived.recorder.requests)
    client.tick()
    client._device._state._marked_at = 0.0  # closing has something to do
    lose(lived.path)
    existed = lived.path.exists()
    getattr(client, call)(*(["purchase"] if call == "record" else []))
    assert lived.faults == [Fault(call, "StateLostError", LOST.format(lived.path))]
    reason = LOST.format(lived.path)
    assert caplog.messages == [f"silent: {reason}"]
    client.record("purchase")
    lived.live(client, 2)
    status = client.status()
    assert (status.silent, status.surveys[0].silent, status.surveys[0].consent) == (reason, reason, False)
    assert len(lived.faults) == 1
    assert lived.path.exists() is existed
    assert len(lived.recorder.requests) == sent


@pytest.mark.parametrize(
    ("lose", "silent"),
    [
        (delete, Silence.ROLLED_BACK),
        (replace, Silence.ROLLED_BACK),
        (delete_with_the_mark, None),
        (move_the_folder, None),
    ],
)
class TestTheNewFile:
    """A new client, consent and a withdrawal open the file that is there now. It must not answer again."""

    def test_is_opened_by_a_new_client(self, lived, lose, silent):
        lose(lived.path)
        client = lived.client()
        lived.live(client, 2)
        assert (lived.silence(client), lived.faults) == (silent, [])
        lived.assert_answered_once()
        lived.first.record("purchase")
        assert lived.faults == [Fault("record", "StateLostError", LOST.format(lived.path))]
        assert lived.rows("SELECT count(*) FROM events") == [(0,)]
        lived.end()
        assert lived.silence(lived.client(agreed=False)) == silent

    @pytest.mark.parametrize("detected", [False, True])
    def test_is_opened_by_consent(self, lived, lose, silent, detected):
        lose(lived.path)
        if detected:
            lived.first.tick()
        assert lived.first.grant_consent()
        assert lived.faults == [
            Fault("tick" if detected else "grant_consent", "StateLostError", LOST.format(lived.path))
        ]
        lived.live(lived.first, 2)
        assert lived.silence(lived.first) == silent
        lived.assert_answered_once()
        assert lived.rows("SELECT granted FROM consents") == [(1,)]

    def test_is_opened_by_a_withdrawal(self, lived, lose, silent):
        lose(lived.path)
        assert lived.first.withdraw_consent()
        assert lived.rows("SELECT granted FROM consents") == [(0,)]


def test_a_withdrawal_is_stored_in_a_file_that_was_put_back(lived, tmp_path):
    """That file may contain an earlier consent."""
    lived.first.close()
    copy = lived.path.read_bytes()
    client = lived.client()
    delete(lived.path)
    lived.path.write_bytes(copy)
    assert client.withdraw_consent()
    assert lived.rows("SELECT granted FROM consents") == [(0,)]


def test_events_in_memory_are_discarded(lived):
    """They must not be written to the new file."""
    client = lived.client()
    client.record("purchase", amount=1)
    journal = client._device.journal
    delete_with_the_mark(lived.path)
    client.tick()
    assert not journal.has_unwritten
    client.grant_consent()
    client.status()
    assert lived.rows("SELECT count(*) FROM events") == [(0,)]


def test_close_still_stops_the_thread(lived):
    lived.first.start()
    delete(lived.path)
    lived.first.status()
    lived.first.close()
    assert "hushtally" not in {thread.name for thread in threading.enumerate()}


def test_no_transaction_is_interrupted(lived):
    """The file is looked for before a transaction, not within it."""
    state = State.at(lived.path)
    with state.transaction() as connection:
        delete(lived.path)
        with state.lock() as same:
            assert same is connection
    assert state.is_lost


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_a_file_that_cannot_be_checked_now_is_not_lost(lived, monkeypatch, error):
    """For example on a network file system: the call fails, and the next one succeeds."""
    client = lived.first

    def fail(path):
        raise error("canary")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        client.tick()
    assert lived.faults == [Fault("tick", error.__name__, error.__name__)]
    lived.live(client)
    assert client.status().silent is None
    assert len(lived.recorder.batches) == 2


def test_a_new_file_is_detected_also_with_the_inode_of_the_old_one(lived, tmp_path):
    """The inode may be reused while the file is closed for a fork. The new file belongs to another customer."""
    state = lived.first._device._state
    state.close()
    other = State.at(tmp_path / "other.db")
    other.close()
    inode = lived.path.stat().st_ino
    shutil.copyfile(tmp_path / "other.db", lived.path)  # in place
    assert lived.path.stat().st_ino == inode
    lived.first.tick()
    assert lived.faults == [Fault("tick", "StateLostError", LOST.format(lived.path))]
    assert lived.first.status().silent == LOST.format(lived.path)
