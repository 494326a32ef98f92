"""Events are deleted on the day that was promised when they were recorded, whatever the app and other clients do."""

import sqlite3
from contextlib import closing

import pytest

from hushtally import Survey
from hushtally.client_sdk.state import events


def left(lab):
    return lab.rows("SELECT count(*) FROM events")[0][0]


def visits(lab, **changed):
    """Another survey, about visits instead of purchases."""
    return Survey.parse(lab.text(**{"id": "visits"} | changed).replace('"purchase', '"visit'))


def opt_out(lab, monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "1")


def damage(lab, monkeypatch):
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.execute("UPDATE ledger SET epsilon = epsilon + 1")


def nothing(lab, monkeypatch):
    pass


@pytest.mark.parametrize("happens", [opt_out, damage, nothing])
@pytest.mark.parametrize("call", ["record", "tick", "status"])
@pytest.mark.parametrize("restart", [False, True])
class TestFiveDaysAtMost:
    def test_with_any_call_alone(self, lab, monkeypatch, happens, call, restart):
        """Each call deletes them, also after an opt-out or with a damaged file, and sends nothing."""
        survey = lab.survey(starts="2026-11-02", ends="2026-12-01")
        client = lab.client(survey, durable=True)
        client.record("purchase", amount=1, category="canary")
        client.tick()
        if restart or happens is damage:  # damage is detected at the start or at the next answer
            lab.end()
        happens(lab, monkeypatch)
        if not lab.clients:
            client = lab.client(survey, durable=True, agreed=False)
        for days, kept in ((4, True), (1, False)):
            lab.clock.advance(days=days)
            if call == "record":
                client.record("purchase", category="another")
            else:
                getattr(client, call)()
            rows = lab.rows("SELECT fields FROM events")
            assert any("canary" in fields for (fields,) in rows) is kept
        if happens is not nothing:
            assert rows == lab.recorder.requests == []
            assert lab.rows("SELECT count(*) FROM ledger") == [(1,)]
        if call != "record":  # the next tick or start empties the log
            assert b"canary" not in lab.on_disk()


def test_expired_events_are_looked_for_once_a_day(lab, monkeypatch):
    """The search reads all events, and an app may call hundreds of times a minute."""
    searches = []
    expired = events.expired
    monkeypatch.setattr(events, "expired", lambda *values: searches.append(1) or expired(*values))
    client = lab.client(durable=True)
    for day in range(3):
        for _ in range(3):
            client.record("purchase", amount=1)
            client.record("nothing")
            client.tick()
            client.status()
        assert len(searches) == day + 1
        lab.clock.advance(days=1)


def test_an_event_that_is_not_stored_does_not_fail(lab, monkeypatch):
    """Another process locks the file, but nothing may be recorded anyway, so nothing is lost."""
    monkeypatch.setattr("hushtally.client_sdk.state.file.PAUSE_SECONDS", 0.0)
    lab.client(durable=True).record("purchase")
    lab.clock.advance(days=5)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    client = lab.client(durable=True, agreed=False)
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        client.record("purchase")
        other.execute("ROLLBACK")
    assert (lab.faults, left(lab)) == ([], 1)
    client.record("purchase")
    assert left(lab) == 0


class TestTwoClientsOnOneDevice:
    """For example two libraries in one app, each with its own survey."""

    def test_neither_deletes_events_that_the_other_needs(self, lab):
        first, second = lab.client(), lab.client(visits(lab, days=2))
        first.record("purchase", amount=1)
        second.record("visit", amount=1)
        for days, names in ((1, ["purchase", "visit"]), (1, ["purchase"]), (2, ["purchase"]), (1, [])):
            first.status()
            lab.clock.advance(days=days)
            second.tick()
            assert [name for (name,) in lab.rows("SELECT name FROM events ORDER BY id")] == names

    def test_an_event_is_stored_for_the_window_of_the_client_that_recorded_it(self, lab):
        """Also if the other client's window is shorter."""
        first, second = lab.client(), lab.client(lab.survey(id="again", days=2))
        first.record("purchase", amount=1)
        first.status()
        for days, kept in ((4, 1), (1, 0)):
            lab.clock.advance(days=days)
            second.tick()
            assert left(lab) == kept

    def test_a_survey_that_the_app_no_longer_has_may_belong_to_another_client(self, lab):
        lab.client().record("purchase", amount=1)
        lab.end()
        client = lab.client(visits(lab))
        for days, kept in ((4, 1), (1, 0)):
            lab.clock.advance(days=days)
            client.tick()
            assert left(lab) == kept

    def test_events_that_no_running_survey_needs_are_deleted_at_once(self, lab):
        """The file shows that the other survey has ended."""
        lab.client(lab.survey(ends="2026-11-03", days=9)).record("purchase", amount=1)
        lab.end()
        client = lab.client(visits(lab))
        for days, kept in ((1, 1), (1, 0)):
            lab.clock.advance(days=days)
            client.tick()
            assert left(lab) == kept

    def test_a_withdrawal_erases_the_events_of_both(self, lab):
        first, second = lab.client(), lab.client(visits(lab))
        first.record("purchase", amount=1)
        first.status()
        second.withdraw_consent()
        assert left(lab) == 0
        first.record("purchase", amount=1)
        first.tick()
        assert (left(lab), first.status().surveys[0].withdrew) == (0, True)
