"""Consent: it is bound to a survey's digest and has a receipt; what happens to it when surveys change."""

import os
from contextlib import closing

import pytest

from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.state.silence import Silence


def test_a_receipt_states_the_time_and_the_text(lab):
    client = lab.client()
    (receipt,) = client.receipts()
    survey = lab.survey()
    assert (receipt.survey, receipt.version, receipt.digest) == ("habits", 1, survey.digest)
    assert (receipt.granted, receipt.at) == (True, "2026-11-02T00:00:00+00:00")
    assert receipt.shown == str(explain_survey(survey))


def test_the_first_receipt_stays_when_an_app_grants_at_every_start(lab):
    lab.client().close()
    lab.clock.advance(days=3)
    assert lab.client().receipts()[0].at == "2026-11-02T00:00:00+00:00"


def test_the_text_is_stored_once_for_all_devices(lab):
    for key in range(5):
        lab.client(device=str(key))
    assert lab.rows("SELECT count(*), sum(length(text) > 300) FROM texts") == [(1, 1)]


def test_the_app_may_show_its_own_text(lab):
    """The receipt contains the text. It is deleted with the last consent that refers to it."""
    clients = [lab.client(device=key, agreed=False) for key in "ab"]
    for client in clients:
        client.grant_consent("Dear customer")
        assert client.receipts()[0].shown == "Dear customer"
    clients[0].withdraw_consent()
    assert clients[1].receipts()[0].shown == "Dear customer"
    assert b"Dear customer" in lab.on_disk()
    clients[1].withdraw_consent()
    assert b"Dear customer" not in lab.on_disk()


def test_the_text_of_an_older_version_is_deleted_with_its_receipt(lab):
    lab.client()
    lab.client(lab.survey(version=2))
    assert lab.rows("SELECT count(*) FROM texts") == [(1,)]


def test_a_withdrawal_keeps_only_the_decision_and_the_spent_epsilon(lab):
    """Events, answers, batches and counters are deleted. The receipt has the time, and no text any more."""
    client = lab.client(lab.survey(memory="permanent"))
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 2)
    client.record("other")
    client.tick()
    client.withdraw_consent()
    for table in ("events", "answers", "outbox", "counters"):
        assert lab.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    (receipt,) = client.receipts()
    assert (receipt.granted, receipt.at, receipt.shown) == (False, "2026-11-04T00:00:00+00:00", None)
    (survey,) = client.status().surveys
    assert (survey.consent, survey.spent, survey.silent) == (False, 6.0, Silence.ANSWERS_ERASED)
    client.record("purchase", amount=2, category="c2")
    lab.live(client, 2)
    assert len(lab.recorder.reports) == 2
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_withdrawal_hides_when_a_permanent_answer_changed(lab):
    """The ledger of permanent memory shows when new answers were drawn. After a withdrawal it has only the sum."""
    client = lab.client(lab.survey(memory="permanent"))
    for category in ("c1", "c1", "c2", "c2", "c3"):
        for _ in range(9):
            client.record("purchase", amount=1, category=category)
        lab.live(client)
    assert [cost for (cost,) in lab.rows("SELECT epsilon FROM ledger ORDER BY epoch")].count(2.0) > 1
    spent = lab.rows("SELECT sum(epsilon) FROM ledger")
    client.withdraw_consent()
    client.withdraw_consent()
    assert {cost for (cost,) in lab.rows("SELECT epsilon FROM ledger WHERE question <> ''")} == {0.0}
    assert lab.rows("SELECT sum(epsilon) FROM ledger") == spent > [(2.0,)]


def test_after_new_consent_the_next_scheduled_epoch_is_answered(lab):
    """With fresh memory: the epoch that was answered is not answered again, and its cost stays in the ledger."""
    client = lab.client(lab.survey(every=2), seed=3)
    lab.live(client, 4)
    before = [report.epoch for report in lab.recorder.reports]
    client.tick()
    phase = int(before[0][-2:]) % 2
    if lab.clock().day % 2 != phase:
        lab.live(client)
    client.tick()  # the answer is in the outbox
    spent = client.status().surveys[0].spent
    assert client.status().waiting == 1
    client.withdraw_consent()
    client.grant_consent()
    lab.live(client)
    assert [report.epoch for report in lab.recorder.reports] == before
    assert client.status().surveys[0].spent == spent == 3.0
    lab.live(client, 2)
    assert len(lab.recorder.reports) == len(before) + 1
    assert client.status().surveys[0].silent is None


def test_permanent_answers_are_not_drawn_again(lab):
    """A withdrawal erases them, so after new consent the device is silent for the rest of the survey."""
    client = lab.client(lab.survey(memory="permanent"))
    lab.live(client, 2)
    client.withdraw_consent()
    client.grant_consent()
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 5)
    assert len(lab.recorder.reports) == 2
    (survey,) = client.status().surveys
    assert (survey.consent, survey.silent, survey.spent) == (True, Silence.ANSWERS_ERASED, 6.0)
    assert "does not answer: consent was withdrawn and the permanent answers erased." in str(client.explain())
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]  # no survey needs them any more


def test_a_withdrawal_before_any_consent_is_stored(lab):
    client = lab.client(agreed=False)
    client.withdraw_consent()
    assert [receipt.granted for receipt in client.receipts()] == [False]
    lab.live(client, 2)
    assert lab.recorder.requests == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_new_version_needs_new_consent_unless_the_app_keeps_consent(lab, keep):
    lab.live(lab.client(), 2)
    client = lab.client(lab.survey(version=2), agreed=False, keep_consent=keep, max_lifetime_epsilon=100)
    (survey,) = client.status().surveys
    assert survey.budget == (2.0 + lab.survey(version=2).lifetime_epsilon if keep else 2.0)
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 2)
    assert [batch.version for batch in lab.recorder.batches] == [1, 1, *([2, 2] if keep else [])]
    (survey,) = client.status().surveys
    assert survey.consent is keep
    assert lab.rows("SELECT count(*) FROM events") == [(int(keep),)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("answered", [False, True], ids=["new-here", "answered-here"])
def test_an_older_app_does_not_replace_consent_to_a_newer_version(lab, caplog, answered, keep):
    """For example while an app is rolled out or back. The older version does not supersede the newer one either."""
    options = {"keep_consent": keep, "max_lifetime_epsilon": 100}
    if answered:
        lab.live(lab.client(**options))
    new = lab.client(lab.survey(version=2), **options)
    lab.live(new)
    (before,) = new.receipts()
    old = lab.client(agreed=False, **options)
    assert old.grant_consent() is False
    assert "grant_consent: ignored for habits v1, because this device agrees to a newer version" in caplog.text
    lab.live_together([old, new])
    assert new.receipts() == (before,)
    assert not old.status().surveys[0].consent
    assert new.status().surveys[0].silent is None
    assert [batch.version for batch in lab.recorder.batches] == [*([1] if answered else []), 2, 2]


def test_an_older_app_that_keeps_consent_does_not_supersede_a_newer_version(lab):
    """Consent was given to a still older version, and covers both."""
    options = {"keep_consent": True, "max_lifetime_epsilon": 1_000}
    lab.live(lab.client(**options))
    new = lab.client(lab.survey(version=3), agreed=False, **options)
    lab.live(new)
    old = lab.client(lab.survey(version=2), agreed=False, **options)
    lab.live_together([old, new])
    assert [batch.version for batch in lab.recorder.batches] == [1, 3, 3]
    assert (lab.silence(old), lab.silence(new)) == ("another version took its place", None)
    old.withdraw_consent()
    old.grant_consent()
    new.grant_consent()
    lab.live_together([old, new])
    assert [batch.version for batch in lab.recorder.batches] == [1, 3, 3, 3]


def test_consent_given_in_another_process(lab, monkeypatch):
    """A client sees it within a second without a tick, and at once when its status is read."""
    other, read = lab.client(agreed=False), lab.client(agreed=False)
    other.record("purchase", amount=1)
    lab.client()
    other.record("purchase", amount=2)
    assert read.status().surveys[0].consent
    read.record("purchase", amount=3)
    monkeypatch.setattr("hushtally.client_sdk.device.device.REFRESH_SECONDS", 0.0)
    other.record("purchase", amount=4)
    for client in (other, read):
        client.status()
    assert lab.rows("SELECT fields FROM events ORDER BY id") == [('{"amount": 4}',), ('{"amount": 3}',)]


def test_the_same_version_with_another_digest_needs_new_consent(lab):
    lab.client().close()
    client = lab.client(lab.survey(epsilon=0.5), agreed=False)
    lab.live(client, 2)
    assert lab.recorder.requests == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_withdrawal_survives_an_upgrade_and_a_reinstalled_survey(lab, keep):
    """No new version, no return of the old version and no keep_consent restores the consent."""
    client = lab.client()
    lab.live(client, 2)
    client.withdraw_consent()
    client.close()
    for version in (2, 1, 3):
        client = lab.client(lab.survey(version=version), agreed=False, keep_consent=keep, max_lifetime_epsilon=100)
        lab.live(client, 2)
        (survey,) = client.status().surveys
        assert (survey.consent, survey.spent) == (False, 2.0)
        client.close()
    assert len(lab.recorder.reports) == 2


def test_a_withdrawal_covers_a_survey_that_the_app_no_longer_has(lab):
    """Its waiting batch and its permanent answers are deleted, and it needs new consent if it returns."""
    old = lab.client(lab.survey(id="old", memory="permanent"))
    old.tick()
    old.close()
    client = lab.client(lab.survey(id="new"))
    assert client.status().waiting == 1
    client.withdraw_consent()
    assert lab.rows("SELECT count(*) FROM outbox") == [(0,)]
    assert lab.rows("SELECT count(*) FROM answers") == [(0,)]
    again = lab.client(lab.survey(id="old", memory="permanent"), agreed=False)
    assert again.status().surveys[0].consent is False


def test_a_new_version_supersedes_the_old_version_for_good(lab):
    """The old version loses its permanent answers and stays silent if it returns. The spent epsilon includes both."""
    lab.live(lab.client(lab.survey(memory="permanent")), 2)
    client = lab.client(lab.survey(version=2, memory="permanent"))
    assert lab.rows("SELECT count(*) FROM answers") == [(0,)]
    lab.live(client, 2)
    (survey,) = client.status().surveys
    assert (survey.spent, survey.budget) == (12.0, 12.0)
    client = lab.client(lab.survey(memory="permanent"))
    lab.live(client, 2)
    assert client.status().surveys[0].silent == Silence.SUPERSEDED
    assert [batch.version for batch in lab.recorder.batches] == [1, 1, 2, 2]


def test_two_versions_never_answer_the_same_epoch(lab):
    client = lab.client()
    client.tick()
    client = lab.client(lab.survey(version=2))
    lab.live(client)
    assert [batch.version for batch in lab.recorder.batches] == [1]


def test_a_withdrawal_stops_another_process(lab):
    """Another client of the device has events in memory and a waiting batch: they are not written or sent."""
    client, other = lab.client(), lab.client()
    other.record("purchase", amount=1, category="c1")
    other.tick()
    client.withdraw_consent()
    other.record("purchase", amount=2, category="c1")
    other.close()
    other = lab.client(agreed=False)
    lab.live(other)
    assert lab.recorder.requests == []
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]


def test_events_recorded_before_a_withdrawal_are_not_stored_after_new_consent(lab):
    """One process has events in memory from before and after; another process withdraws and agrees again."""
    here, other = lab.client(), lab.client()
    here.record("purchase", amount=1, category="c1")
    other.withdraw_consent()
    here.record("purchase", amount=2, category="c2")
    here.record("unheard")
    assert lab.rows("SELECT count(*) FROM counters") == [(0,)]  # dropped events are not counted either
    other.grant_consent()
    here.record("purchase", amount=3, category="c3")
    lab.live(here)
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    here.record("purchase", amount=4, category="c1")  # the client has read the new consent
    lab.live(here)
    assert lab.rows("SELECT fields FROM events") == [('{"amount": 4, "category": "c1"}',)]
    assert lab.faults == []


def test_no_batch_is_sent_after_a_withdrawal_during_delivery(lab):
    """Three batches are due. Consent is withdrawn while the first is under way; the others are not sent."""
    surveys = [lab.survey(id=f"s{index}") for index in range(3)]
    client = lab.client(surveys)
    client.tick()
    lab.clock.advance(seconds=86_399)
    first = lab.recorder.request

    def request(*values):
        client.withdraw_consent()
        return first(*values)

    lab.recorder.request = request
    client.tick()
    assert len(lab.recorder.requests) == 1
    assert client.status().counters == {}


def test_a_withdrawal_that_cannot_be_written_stops_the_client(lab, monkeypatch):
    """The failure is reported. The client records, answers and sends nothing, and tries again with every tick."""
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    client.tick()
    with closing(lab.client()._device._state._connect()) as blocker:
        monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 0.05)
        client._device._state._connection.execute("PRAGMA busy_timeout = 50")
        blocker.execute("BEGIN IMMEDIATE")
        client.withdraw_consent()
        assert [fault.during for fault in lab.faults] == ["withdraw_consent"]
        client.record("purchase", amount=2, category="c1")
        lab.clock.advance(seconds=86_399)
        client.tick()
        assert client.flush(0.2) is False
        assert client.status().surveys[0].silent == "the customer withdrew"
        assert lab.recorder.requests == []
        blocker.execute("ROLLBACK")
    assert lab.recorder.requests == []
    client.tick()
    assert lab.rows("SELECT granted FROM consents") == [(0,)]
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    assert lab.recorder.requests == []


class TestUnwritten:
    """A withdrawal that could not be written because of another process. The next call of any kind writes it."""

    @pytest.fixture
    def client(self, lab, monkeypatch):
        """A client with such a withdrawal; its file can be written again."""
        monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 0.05)
        client = lab.client(lab.survey(memory="permanent"))
        client.record("purchase", amount=1, category="c1")
        client.tick()
        self.blocker = client._device._state._connect()
        self.blocker.execute("BEGIN IMMEDIATE")
        client.withdraw_consent()
        self.blocker.execute("ROLLBACK")
        assert lab.rows("SELECT granted FROM consents") == [(1,)]
        yield client
        self.blocker.close()

    def is_written(self, lab):
        assert lab.rows("SELECT granted FROM consents") == [(0,)]
        self.is_erased(lab)

    def is_erased(self, lab):
        for table in ("events", "answers", "outbox"):
            assert lab.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
        assert [fault.during for fault in lab.faults] == ["withdraw_consent"]

    @pytest.mark.parametrize(
        "call",
        [
            lambda client: client.record("purchase", amount=2, category="c1"),
            lambda client: client.tick(),
            lambda client: client.status(),
            lambda client: client.close(),
        ],
        ids=["record", "tick", "status", "close"],
    )
    def test_it_is_written_by(self, lab, client, call):
        call(client)
        self.is_written(lab)

    @pytest.mark.parametrize("again", [False, True])
    def test_a_forked_child_writes_it_unless_the_parent_did(self, lab, client, again):
        """New consent in the parent stands."""
        waiting, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(waiting, 1)
            client.record("purchase", amount=2, category="c1")
            client.tick()
            os._exit(len(lab.faults))  # only the failure of the fixture
        if again:
            client.grant_consent()
        os.write(go, b"!")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert lab.rows("SELECT granted FROM consents") == [(int(again),)]
        self.is_erased(lab)

    def test_new_consent_comes_after_the_withdrawal(self, lab, client):
        """With permanent memory the device is then silent, as after any withdrawal."""
        client.grant_consent()
        self.is_erased(lab)
        (survey,) = client.status().surveys
        assert (survey.consent, survey.silent) == (True, Silence.ANSWERS_ERASED)

    def test_consent_is_not_stored_while_the_withdrawal_cannot_be_written(self, lab, client):
        self.blocker.execute("BEGIN IMMEDIATE")
        client.grant_consent()
        (survey,) = client.status().surveys
        assert (survey.consent, survey.silent) == (False, "the customer withdrew")
        self.blocker.execute("ROLLBACK")
        assert [fault.during for fault in lab.faults] == ["withdraw_consent", "grant_consent"]

    def test_a_failure_of_close_is_reported(self, lab, client):
        """After the next start consent stands, as `withdraw_consent` documents."""
        self.blocker.execute("BEGIN IMMEDIATE")
        client.close()
        self.blocker.execute("ROLLBACK")
        assert [fault.during for fault in lab.faults] == ["withdraw_consent", "close"]
        assert lab.client(lab.survey(memory="permanent"), agreed=False).status().surveys[0].consent is True

    def test_a_close_that_takes_too_long_is_reported(self, lab, client, monkeypatch, caplog):
        """The file is locked for longer than `close` may block. The log reports it, too."""
        monkeypatch.setattr("hushtally.client_sdk.device.embedding.CLOSE_SECONDS", 0.1)
        client._device._state._connection.execute("PRAGMA busy_timeout = 5000")
        self.blocker.execute("BEGIN IMMEDIATE")
        client.close()
        assert [(fault.during, fault.why) for fault in lab.faults][1:] == [
            ("close", "not everything was written within a second")
        ]
        assert caplog.messages[-1] == "close failed: not everything was written within a second"
        self.blocker.execute("ROLLBACK")


def test_a_withdrawal_stops_other_clients_of_the_device_that_are_sending(lab, monkeypatch):
    """It does not stop other devices."""
    first, second = lab.client(), lab.client(lab.survey(id="other"))
    other_device = lab.client(device="another")
    cut = []
    for name, client in (("first", first), ("second", second), ("other device", other_device)):
        monkeypatch.setattr(client._device.delivery, "cancel", lambda name=name: cut.append(name))
    assert first.withdraw_consent() is True
    assert set(cut) == {"first", "second"}
