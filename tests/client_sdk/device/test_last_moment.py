"""Decisions at the last moment: a withdrawal between two reads of the file, an opt-out while a batch is due."""

import threading

import pytest

from hushtally.client_sdk.state.file import State


def on_another_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_no_answer_is_made_after_a_withdrawal_just_before_it(lab, monkeypatch):
    """Another client of the device withdraws after this one read the consent, and before it writes its answer."""
    client, other = lab.client(), lab.client()
    answering, withdrawn = State.answering, []

    def withdrawing(state):
        on_another_thread(other.withdraw_consent)
        withdrawn.append(lab.rows("SELECT granted FROM consents"))
        return answering(state)

    monkeypatch.setattr(State, "answering", withdrawing)
    client.tick()
    assert withdrawn == [[(0,)]]
    assert lab.rows("SELECT count(*) FROM outbox") == [(0,)]
    assert lab.rows("SELECT count(*) FROM ledger") == [(0,)]
    monkeypatch.undo()
    lab.live(client)
    assert lab.recorder.requests == []
    assert lab.faults == []


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "HUSHTALLY_DISABLED"])
def test_reports_that_are_due_are_not_sent_during_an_opt_out(lab, monkeypatch, variable):
    """Neither a tick nor a flush sends them; the first tick after the opt-out does."""
    client = lab.client()
    client.tick()
    lab.clock.advance(seconds=86_399)
    monkeypatch.setenv(variable, "1")
    client.tick()
    assert client.flush(1) is False
    assert lab.recorder.requests == []
    assert client.status().waiting == 1
    monkeypatch.delenv(variable)
    client.tick()
    assert len(lab.recorder.requests) == 1
