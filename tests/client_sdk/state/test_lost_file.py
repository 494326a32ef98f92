"""A state file that is deleted or replaced while it is open: the app is told, and nothing goes into what is no more."""

import os
import shutil
import threading

import pytest

from hushtally.client_sdk.client import Fault
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.silence import Silence

LOST = (
    "the state file {} was deleted or replaced while it was open; what it held is lost to this device."
    " If its mark is left, a new file is silent for the surveys that run"
)


def delete(path):
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink()


def delete_with_the_mark(path):
    delete(path)
    path.with_name(f"{path.name}.mark").unlink()


def replace(path):
    """By an empty one."""
    delete(path)
    path.touch()


def move_the_folder(path):
    path.parent.rename(path.parent.with_name("moved"))


@pytest.fixture
def lived(lab):
    """A client in the midst of its life, in a folder of its own."""
    lab.folder /= "device"
    lab.path = lab.folder / "state.db"
    lab.first = lab.client(durable=True)
    lab.live(lab.first)
    return lab


@pytest.mark.parametrize("loses", [delete, delete_with_the_mark, replace, move_the_folder])
@pytest.mark.parametrize("call", ["record", "tick", "flush", "status", "explain", "receipts", "close"])
def test_the_next_call_tells(lived, caplog, loses, call):
    """Whichever it is; from then on the client is silent and says why, and makes no file."""
    client, sent = lived.first, len(lived.recorder.requests)
    client.tick()
    client._device._state._marked = 0.0  # closing has something to do
    loses(lived.path)
    there = lived.path.exists()
    getattr(client, call)(*(["purchase"] if call == "record" else []))
    assert lived.faults == [Fault(call, "StateLostError", LOST.format(lived.path))]
    told = LOST.format(lived.path)
    assert caplog.messages == [f"silent: {told}"]
    client.record("purchase")
    lived.live(client, 2)
    status = client.status()
    assert (status.silent, status.surveys[0].silent, status.surveys[0].consent) == (told, told, False)
    assert len(lived.faults) == 1
    assert lived.path.exists() is there
    assert len(lived.recorder.requests) == sent


@pytest.mark.parametrize(
    ("loses", "silent"),
    [
        (delete, Silence.ROLLED_BACK),
        (replace, Silence.ROLLED_BACK),
        (delete_with_the_mark, None),
        (move_the_folder, None),
    ],
)
class TestWhatIsThereNow:
    """Is opened by a new client and by what the customer says; it must not answer again what the mark knows of."""

    def test_by_a_new_client(self, lived, loses, silent):
        loses(lived.path)
        client = lived.client()
        lived.live(client, 2)
        assert (lived.silence(client), lived.faults) == (silent, [])
        lived.assert_answered_once()
        lived.first.record("purchase")
        assert lived.faults == [Fault("record", "StateLostError", LOST.format(lived.path))]
        assert lived.rows("SELECT count(*) FROM events") == [(0,)]
        lived.end()
        assert lived.silence(lived.client(agreed=False)) == silent

    @pytest.mark.parametrize("noticed", [False, True])
    def test_by_consent(self, lived, loses, silent, noticed):
        loses(lived.path)
        if noticed:
            lived.first.tick()
        assert lived.first.grant_consent()
        assert lived.faults == [
            Fault("tick" if noticed else "grant_consent", "StateLostError", LOST.format(lived.path))
        ]
        lived.live(lived.first, 2)
        assert lived.silence(lived.first) == silent
        lived.assert_answered_once()
        assert lived.rows("SELECT granted FROM consents") == [(1,)]

    def test_by_a_withdrawal(self, lived, loses, silent):
        loses(lived.path)
        assert lived.first.withdraw_consent()
        assert lived.rows("SELECT granted FROM consents") == [(0,)]


def test_a_file_that_is_put_in_its_place_knows_of_a_withdrawal(lived, tmp_path):
    """It may hold a consent that was given before."""
    lived.first.close()
    copy = lived.path.read_bytes()
    client = lived.client()
    delete(lived.path)
    lived.path.write_bytes(copy)
    assert client.withdraw_consent()
    assert lived.rows("SELECT granted FROM consents") == [(0,)]


def test_what_was_in_memory_goes_with_the_file(lived):
    """Nothing of it is to get into a file that was made since."""
    client = lived.client()
    client.record("purchase", amount=1)
    journal = client._device.journal
    delete_with_the_mark(lived.path)
    client.tick()
    assert not journal.waits
    client.grant_consent()
    client.status()
    assert lived.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_client_that_lost_its_file_still_ends_its_thread(lived):
    lived.first.start()
    delete(lived.path)
    lived.first.status()
    lived.first.close()
    assert "hushtally" not in {thread.name for thread in threading.enumerate()}


def test_no_transaction_is_cut_off(lived):
    """It is looked for where a transaction begins, not amid it."""
    state = State.at(lived.path)
    with state.transaction() as connection:
        delete(lived.path)
        with state.lock() as same:
            assert same is connection
    assert state.lost


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_where_it_cannot_be_told_nothing_is_done_for_now(lived, monkeypatch, error):
    """As on a network's file system; the file may well be there."""
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


def test_a_new_file_is_known_also_where_it_has_the_old_ones_inode(lived, tmp_path):
    """As a file system may give it, when the file was closed for a fork: it is another customer's, who never agreed."""
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
