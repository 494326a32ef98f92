"""What was said in the last moment counts: a withdrawal between two looks at the file, a switch with a batch due."""

import pytest

from hushtally.client_sdk.state.file import State


def test_no_answer_is_made_under_a_consent_that_was_just_withdrawn(lab, monkeypatch):
    """Another client of the device withdraws after this one saw the consent, and before it may write its answer."""
    client, other = lab.client(), lab.client()
    answering, withdrawn = State.answering, []

    def withdrawing(state):
        other.withdraw_consent()
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


@pytest.mark.parametrize("switch", ["DO_NOT_TRACK", "HUSHTALLY_DISABLED"])
def test_what_is_due_is_not_sent_while_a_switch_is_set(lab, monkeypatch, switch):
    """Neither by a tick nor by a flush; it stays, and leaves once the switch is gone."""
    client = lab.client()
    client.tick()
    lab.clock.advance(seconds=86_399)
    monkeypatch.setenv(switch, "1")
    client.tick()
    assert client.flush(1) is False
    assert lab.recorder.requests == []
    assert client.status().waiting == 1
    monkeypatch.delenv(switch)
    client.tick()
    assert len(lab.recorder.requests) == 1
