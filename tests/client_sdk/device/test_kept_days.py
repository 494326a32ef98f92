"""Events go on the day that was told when they were recorded, whatever the app calls, and whoever else is there."""

import sqlite3
from contextlib import closing

import pytest

from hushtally import Survey
from hushtally.client_sdk.state import events


def left(lab):
    return lab.rows("SELECT count(*) FROM events")[0][0]


def visits(lab, **changed):
    """Another survey, about visits in place of purchases."""
    return Survey.parse(lab.text(**{"id": "visits"} | changed).replace('"purchase', '"visit'))


def switch_off(lab, monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "1")


def damage(lab, monkeypatch):
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.execute("UPDATE ledger SET epsilon = epsilon + 1")


def nothing(lab, monkeypatch):
    pass


@pytest.mark.parametrize("happens", [switch_off, damage, nothing])
@pytest.mark.parametrize("call", ["record", "tick", "status"])
@pytest.mark.parametrize("restart", [False, True])
class TestFiveDaysAtMost:
    def test_whatever_the_app_calls(self, lab, monkeypatch, happens, call, restart):
        """Each call alone will do, also where the customer opted out or the file is damaged; nothing is sent for it."""
        survey = lab.survey(starts="2026-11-02", ends="2026-12-01")
        client = lab.client(survey, durable=True)
        client.record("purchase", amount=1, category="canary")
        client.tick()
        if restart or happens is damage:  # which is noticed at the start, else at the next answer
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
        if call != "record":  # which leaves the log to the next tick or start
            assert b"canary" not in lab.on_disk()


def test_what_is_old_is_looked_for_once_a_day(lab, monkeypatch):
    """It reads all events; an app calls hundreds of times a minute."""
    looks = []
    outdated = events.outdated
    monkeypatch.setattr(events, "outdated", lambda *given: looks.append(1) or outdated(*given))
    client = lab.client(durable=True)
    for day in range(3):
        for _ in range(3):
            client.record("purchase", amount=1)
            client.record("nothing")
            client.tick()
            client.status()
        assert len(looks) == day + 1
        lab.clock.advance(days=1)


def test_a_record_that_is_not_kept_does_not_fail_for_it(lab, monkeypatch):
    """While another process holds the file, and nothing may be recorded anyway: there is nothing to lose."""
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
    """As of two libraries in one app, each with a survey of its own."""

    def test_neither_deletes_what_the_other_still_needs(self, lab):
        first, second = lab.client(), lab.client(visits(lab, days=2))
        first.record("purchase", amount=1)
        second.record("visit", amount=1)
        for days, names in ((1, ["purchase", "visit"]), (1, ["purchase"]), (2, ["purchase"]), (1, [])):
            first.status()
            lab.clock.advance(days=days)
            second.tick()
            assert [name for (name,) in lab.rows("SELECT name FROM events ORDER BY id")] == names

    def test_of_the_same_event_each_keeps_its_own_for_as_long_as_it_told(self, lab):
        """Also where the other one's window is shorter."""
        first, second = lab.client(), lab.client(lab.survey(id="again", days=2))
        first.record("purchase", amount=1)
        first.status()
        for days, kept in ((4, 1), (1, 0)):
            lab.clock.advance(days=days)
            second.tick()
            assert left(lab) == kept

    def test_a_survey_that_the_app_no_longer_has_may_be_anothers(self, lab):
        lab.client().record("purchase", amount=1)
        lab.end()
        client = lab.client(visits(lab))
        for days, kept in ((4, 1), (1, 0)):
            lab.clock.advance(days=days)
            client.tick()
            assert left(lab) == kept

    def test_what_no_survey_needs_that_is_agreed_to_goes_at_once(self, lab):
        """The other survey is over: the file tells."""
        lab.client(lab.survey(ends="2026-11-03", days=9)).record("purchase", amount=1)
        lab.end()
        client = lab.client(visits(lab))
        for days, kept in ((1, 1), (1, 0)):
            lab.clock.advance(days=days)
            client.tick()
            assert left(lab) == kept

    def test_withdrawing_erases_for_all(self, lab):
        first, second = lab.client(), lab.client(visits(lab))
        first.record("purchase", amount=1)
        first.status()
        second.withdraw_consent()
        assert left(lab) == 0
        first.record("purchase", amount=1)
        first.tick()
        assert (left(lab), first.status().surveys[0].withdrew) == (0, True)
