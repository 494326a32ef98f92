"""Consent: bound to a survey's digest, with a receipt; what becomes of it when surveys change."""

import os
from contextlib import closing

import pytest

from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.state.silence import Silence


def test_a_receipt_says_when_and_on_which_text(lab):
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


def test_the_text_is_kept_once_for_all_devices(lab):
    for key in range(5):
        lab.client(device=str(key))
    assert lab.rows("SELECT count(*), sum(length(text) > 300) FROM texts") == [(1, 1)]


def test_the_app_may_show_a_text_of_its_own(lab):
    """It is in the receipt, and goes with the consent as soon as no other device was shown it."""
    clients = [lab.client(device=key, agreed=False) for key in "ab"]
    for client in clients:
        client.grant_consent("Dear customer")
        assert client.receipts()[0].shown == "Dear customer"
    clients[0].withdraw_consent()
    assert clients[1].receipts()[0].shown == "Dear customer"
    assert b"Dear customer" in lab.on_disk()
    clients[1].withdraw_consent()
    assert b"Dear customer" not in lab.on_disk()


def test_the_text_of_an_older_version_goes_with_its_receipt(lab):
    lab.client()
    lab.client(lab.survey(version=2))
    assert lab.rows("SELECT count(*) FROM texts") == [(1,)]


def test_withdrawal_leaves_the_fact_and_what_was_spent(lab):
    """Nothing else is left: no events, answers, batches, counters; the receipt says when, and no text any more."""
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


def test_withdrawal_forgets_when_a_permanent_answer_changed(lab):
    """The ledger of permanent memory tells when new answers were drawn: afterwards it only tells their sum."""
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


def test_consent_given_again_waits_for_the_next_scheduled_answer(lab):
    """Fresh: the epoch that was answered before is not answered again; what was spent stays spent."""
    client = lab.client(lab.survey(every=2), seed=3)
    lab.live(client, 4)
    before = [report.epoch for report in lab.recorder.reports]
    client.tick()
    phase = int(before[0][-2:]) % 2
    if lab.clock().day % 2 != phase:
        lab.live(client)
    client.tick()  # answered, and in the outbox
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


def test_a_permanent_answer_is_not_drawn_anew(lab):
    """Its answers are erased with the consent, so who agrees again is silent for the rest of the survey."""
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
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]  # of no use any more


def test_withdrawal_before_any_consent_is_noted(lab):
    client = lab.client(agreed=False)
    client.withdraw_consent()
    assert [receipt.granted for receipt in client.receipts()] == [False]
    lab.live(client, 2)
    assert lab.recorder.requests == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_new_version_needs_new_consent_unless_the_app_says_otherwise(lab, keep):
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
@pytest.mark.parametrize("known", [False, True], ids=["not-known-here", "known-here"])
def test_an_older_app_leaves_the_consent_to_the_newer_version_alone(lab, caplog, known, keep):
    """As while an app is rolled out or back on one state file; nor does the older version take its place."""
    options = {"keep_consent": keep, "max_lifetime_epsilon": 100}
    if known:
        lab.live(lab.client(**options))
    new = lab.client(lab.survey(version=2), **options)
    lab.live(new)
    (before,) = new.receipts()
    old = lab.client(agreed=False, **options)
    assert old.grant_consent() is False
    assert "grant_consent: not noted for habits v1: this device agrees to a newer version" in caplog.text
    lab.live_together([old, new])
    assert new.receipts() == (before,)
    assert not old.status().surveys[0].consent
    assert new.status().surveys[0].silent is None
    assert [batch.version for batch in lab.recorder.batches] == [*([1] if known else []), 2, 2]


def test_an_older_app_that_keeps_consent_does_not_take_the_newer_versions_place(lab):
    """The consent was given to an even older one, and nobody is asked again."""
    kept = {"keep_consent": True, "max_lifetime_epsilon": 1_000}
    lab.live(lab.client(**kept))
    new = lab.client(lab.survey(version=3), agreed=False, **kept)
    lab.live(new)
    old = lab.client(lab.survey(version=2), agreed=False, **kept)
    lab.live_together([old, new])
    assert [batch.version for batch in lab.recorder.batches] == [1, 3, 3]
    assert (lab.silence(old), lab.silence(new)) == ("another version took its place", None)
    old.withdraw_consent()
    old.grant_consent()
    new.grant_consent()
    lab.live_together([old, new])
    assert [batch.version for batch in lab.recorder.batches] == [1, 3, 3, 3]


def test_what_is_recorded_after_another_process_was_given_consent(lab, monkeypatch):
    """It is seen within a second, without a tick, and at once by a client that was asked how it stands."""
    waiting, asked = lab.client(agreed=False), lab.client(agreed=False)
    waiting.record("purchase", amount=1)
    lab.client()
    waiting.record("purchase", amount=2)
    assert asked.status().surveys[0].consent
    asked.record("purchase", amount=3)
    monkeypatch.setattr("hushtally.client_sdk.device.device.LOOK_SECONDS", 0.0)
    waiting.record("purchase", amount=4)
    for client in (waiting, asked):
        client.status()
    assert lab.rows("SELECT fields FROM events ORDER BY id") == [('{"amount": 4}',), ('{"amount": 3}',)]


def test_the_same_version_with_another_digest_needs_new_consent(lab):
    lab.client().close()
    client = lab.client(lab.survey(epsilon=0.5), agreed=False)
    lab.live(client, 2)
    assert lab.recorder.requests == []


@pytest.mark.parametrize("keep", [False, True])
def test_withdrawal_survives_an_upgrade_and_a_reinstalled_survey(lab, keep):
    """Neither a new version nor the return of the old one, nor keep_consent, brings a withdrawn consent back."""
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


def test_withdrawal_reaches_a_survey_that_the_app_has_dropped(lab):
    """Its answer waits in the outbox and its answers in the file: both go, and it does not come back agreed."""
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


def test_a_new_version_supersedes_the_old_one_for_good(lab):
    """The old version's permanent answers go, and it stays silent should it come back; both count in what was spent."""
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


def test_withdrawal_in_one_process_stops_another(lab):
    """Another client of the same device, with events in memory and a batch that waits: neither is written or sent."""
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


def test_what_was_recorded_under_a_withdrawn_consent_is_not_kept_under_a_new_one(lab):
    """Two processes: one has events in memory, from before the withdrawal and after; the other withdraws and agrees."""
    here, other = lab.client(), lab.client()
    here.record("purchase", amount=1, category="c1")
    other.withdraw_consent()
    here.record("purchase", amount=2, category="c2")
    here.record("unheard")
    assert lab.rows("SELECT count(*) FROM counters") == [(0,)]  # nor that something was dropped
    other.grant_consent()
    here.record("purchase", amount=3, category="c3")
    lab.live(here)
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    here.record("purchase", amount=4, category="c1")  # it has looked again
    lab.live(here)
    assert lab.rows("SELECT fields FROM events") == [('{"amount": 4, "category": "c1"}',)]
    assert lab.faults == []


def test_no_batch_leaves_after_withdrawal_while_others_are_being_sent(lab):
    """Three batches are due; consent is withdrawn while the first is under way: the others stay."""
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


def test_a_withdrawal_that_cannot_be_written_still_stops(lab, monkeypatch):
    """A full disk: the app is told; this client records, answers and sends nothing, and tries again with every tick."""
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
    """A withdrawal that another process kept from being written: the next call of any kind writes it."""

    @pytest.fixture
    def client(self, lab, monkeypatch):
        """Its file is free again."""
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
    def test_a_forked_child_writes_it_unless_that_was_done(self, lab, client, again):
        """Consent that was given anew in the parent stands."""
        waiting, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(waiting, 1)
            client.record("purchase", amount=2, category="c1")
            client.tick()
            os._exit(len(lab.faults))  # that of the fixture
        if again:
            client.grant_consent()
        os.write(go, b"!")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert lab.rows("SELECT granted FROM consents") == [(int(again),)]
        self.is_erased(lab)

    def test_who_agrees_again_has_withdrawn_before(self, lab, client):
        """With permanent memory that ends their part, as always."""
        client.grant_consent()
        self.is_erased(lab)
        (survey,) = client.status().surveys
        assert (survey.consent, survey.silent) == (True, Silence.ANSWERS_ERASED)

    def test_who_agrees_while_it_still_cannot_be_written_has_not_agreed(self, lab, client):
        self.blocker.execute("BEGIN IMMEDIATE")
        client.grant_consent()
        (survey,) = client.status().surveys
        assert (survey.consent, survey.silent) == (False, "the customer withdrew")
        self.blocker.execute("ROLLBACK")
        assert [fault.during for fault in lab.faults] == ["withdraw_consent", "grant_consent"]

    def test_one_that_close_cannot_write_either_is_told(self, lab, client):
        """The next start knows nothing of it, as `withdraw_consent` says."""
        self.blocker.execute("BEGIN IMMEDIATE")
        client.close()
        self.blocker.execute("ROLLBACK")
        assert [fault.during for fault in lab.faults] == ["withdraw_consent", "close"]
        assert lab.client(lab.survey(memory="permanent"), agreed=False).status().surveys[0].consent is True

    def test_close_that_takes_too_long_is_told(self, lab, client, monkeypatch, caplog):
        """The file is held for longer than `close` may block: the app's log says so, too."""
        monkeypatch.setattr("hushtally.client_sdk.client.CLOSE_SECONDS", 0.1)
        client._device._state._connection.execute("PRAGMA busy_timeout = 5000")
        self.blocker.execute("BEGIN IMMEDIATE")
        client.close()
        assert [(fault.during, fault.why) for fault in lab.faults][1:] == [
            ("close", "not all was written within a second")
        ]
        assert caplog.messages[-1] == "close failed: not all was written within a second"
        self.blocker.execute("ROLLBACK")


def test_a_withdrawal_cuts_what_other_clients_of_the_device_are_sending(lab, monkeypatch):
    """And not what other devices send."""
    first, second = lab.client(), lab.client(lab.survey(id="other"))
    stranger = lab.client(device="another")
    cut = []
    for name, client in (("first", first), ("second", second), ("stranger", stranger)):
        monkeypatch.setattr(client._device.delivery, "cancel", lambda name=name: cut.append(name))
    assert first.withdraw_consent() is True
    assert set(cut) == {"first", "second"}
