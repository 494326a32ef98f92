"""One device from consent to the end of its survey, with a recorder, a scripted clock and seeded randomness."""

import itertools
import json
import logging
from collections import Counter

import pytest

from hushtally import Client, ClientError, Survey
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.explain.status import Status, SurveyStatus
from hushtally.client_sdk.state import events
from hushtally.client_sdk.survey import vocabulary
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

ACCEPTED = Response(200, b'{"accepted": 1, "rejected": []}')


def test_a_survey_from_consent_to_its_end(lab):
    """One report per epoch and question is charged and delivered, and nothing after the end."""
    client = lab.client(lab.survey(questions=3))
    client.record("purchase", amount=3.5, category="c1")
    lab.live(client, 25)
    epochs = [f"2026-11-{day:02}" for day in range(2, 22)]
    assert sorted((one.question, one.epoch) for one in lab.recorder.reports) == sorted(
        itertools.product(["q0", "q1", "q2"], epochs)
    )
    assert {tuple(one.cohort.items()) for one in lab.recorder.reports} == {(("platform", "web"),)}
    (survey,) = client.status().surveys
    assert (survey.spent, survey.budget, survey.silent) == (60.0, 60.0, "the survey is over")
    assert client.status().counters == {"delivered": 60}
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    assert lab.faults == []
    lab.recorder.assert_leaves_only(
        "habits", lab.survey(questions=3).digest, "q0", "q1", "q2", "platform", "web", *epochs
    )


def test_nothing_is_recorded_or_sent_before_consent(lab):
    client = lab.client(agreed=False)
    client.record("purchase", amount=3.5, category="c1")
    client.record("unheard")
    lab.live(client, 3)
    assert lab.recorder.requests == []
    for table in ("events", "ledger", "outbox", "schedules", "counters", "consents"):
        assert lab.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert client.status().surveys[0].silent == "the customer has not agreed"


def test_a_device_without_events_reports_like_any_other(lab):
    client = lab.client()
    lab.live(client, 4)
    assert len(lab.recorder.reports) == 4


def test_further_ticks_in_an_epoch_answer_nothing(lab):
    client, twin = lab.client(), lab.client()
    for hour in range(23):
        client.tick()
        twin.tick()
        client.flush(0)
        lab.clock.advance(hours=1)
        if hour == 12:
            client.record("purchase", amount=1, category="c2")
    lab.clock.advance(seconds=3599)
    client.tick()
    assert len(lab.recorder.requests) == 1
    assert lab.rows("SELECT question, epoch, epsilon FROM ledger") == [("q0", "2026-11-02", 1.0)]


@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_device_answers_in_every_nth_epoch_of_its_phase(lab, every):
    """All phases occur, each device keeps its phase, and none answers more often than the survey says."""
    survey = lab.survey(every=every)
    phases = set()
    for key in range(30):
        lab.clock.now = ScriptedClock("2026-11-02").now
        lab.recorder = Recorder()
        client = lab.client(survey, device=str(key))
        lab.live(client, 20)
        days = [int(report.epoch[-2:]) - 2 for report in lab.recorder.reports]
        assert {day % every for day in days} == {days[0]}
        assert days == list(range(days[0], 20, every))
        assert len(days) <= survey.answers
        phases.add(days[0])
    assert phases == set(range(every))


def test_the_questions_are_drawn_once_and_uniformly(lab):
    """A device answers the same 2 of 4 questions all the time. Over 300 devices every pair comes about 50 times.

    Fails by chance 1 in 10^7 for another seed: six counts of Binomial(300, 1/6), each within 6 standard deviations.
    """
    survey = lab.survey(questions=4, each=2)
    pairs = Counter()
    for key in range(300):
        client = lab.client(survey, state=":memory:", seed=key)
        client.tick()
        lab.clock.advance(days=1)
        client.tick()
        lab.clock.advance(days=1, seconds=-1)
        client.tick()
        lab.clock.now = ScriptedClock("2026-11-02").now
        asked = [tuple(sorted(report.question for report in batch.reports)) for batch in lab.recorder.batches]
        assert len(set(asked)) == 1
        pairs[asked[0]] += 1
        lab.recorder.requests.clear()
        client.close()
    assert set(pairs) == set(itertools.combinations(["q0", "q1", "q2", "q3"], 2))
    assert all(abs(count - 50) < 6 * (300 * 1 / 6 * 5 / 6) ** 0.5 for count in pairs.values())


def test_a_retry_sends_the_same_bytes(lab, monkeypatch):
    monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.Backoff.remaining", lambda *_: 0.0)
    lab.recorder = Recorder(TimeoutError(), Response(503, b""), Response(200, b"strange"), ACCEPTED)
    client = lab.client()
    client.tick()
    lab.clock.advance(seconds=86_399)
    for _ in range(6):
        client.tick()
    assert len(lab.recorder.bodies) == 4
    assert len(set(lab.recorder.bodies)) == 1
    assert client.status().counters == {"delivered": 1}


def test_events_are_pruned_to_the_longest_window(lab):
    client = lab.client(lab.survey(days=5))
    for _ in range(12):
        client.record("purchase", amount=1, category="c1")
        lab.live(client)
    days = [day for (day,) in lab.rows("SELECT day FROM events ORDER BY day")]
    today = lab.clock().date().toordinal()
    assert days == list(range(today - 5, today))  # the last tick was yesterday


def visits(text):
    """The same survey, about visits instead of purchases."""
    return Survey.parse(text.replace('"purchase', '"visit'))


def test_an_event_is_not_stored_for_the_window_of_another_event(lab):
    """Each event for as long as `explain` says, also if another survey looks back further."""
    client = lab.client([lab.survey(), visits(lab.text(id="visits", days=15))])
    for name in ("purchase", "visit"):
        client.record(name, amount=1, category="c1")
    for days, left in ((4, ["purchase", "visit"]), (1, ["visit"]), (9, ["visit"]), (1, [])):
        lab.clock.advance(days=days)
        client.tick()
        assert [name for (name,) in lab.rows("SELECT name FROM events")] == left


def test_the_longer_window_of_two_surveys_about_an_event_counts(lab):
    client = lab.client([lab.survey(days=9), lab.survey(id="again")])
    client.record("purchase", amount=1, category="c1")
    for days, left in ((8, 1), (1, 0)):
        lab.clock.advance(days=days)
        client.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(left,)]


def test_events_of_an_ended_survey_are_deleted_while_another_runs(lab):
    client = lab.client([lab.survey(ends="2026-11-03", days=9), visits(lab.text(id="visits"))])
    client.record("purchase", amount=1, category="c1")
    for days, left in ((1, 1), (1, 0)):
        lab.clock.advance(days=days)
        client.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(left,)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("later", "left"), [(3, 1), (4, 0)])
def test_a_new_version_does_not_extend_the_window_of_stored_events(lab, keep, later, left):
    """The old version looks back five days. The new one looks back a year, agreed to or not."""
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    lab.live(client)
    lab.end()
    client = lab.client(lab.survey(version=2, days=365), agreed=False, keep_consent=keep, max_lifetime_epsilon=100)
    lab.clock.advance(days=later)
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(left,)]


def test_a_shorter_window_applies_to_stored_events(lab):
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 3)
    lab.end()
    client = lab.client(lab.survey(version=2, days=2))
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_frequent_event_does_not_push_out_a_rare_one(lab, monkeypatch):
    monkeypatch.setattr(events, "MAX_EVENTS", 100)
    views = 'views = { count = "view", days = 5 }\n[[questions]]'
    client = lab.client(Survey.parse(lab.text().replace("[[questions]]", views, 1)))
    client.record("purchase", amount=1, category="c1")
    for _ in range(200):
        client.record("view")
    client.close()
    query = "SELECT name, count(*) BETWEEN 1 AND 163 FROM events GROUP BY name ORDER BY name"
    assert lab.rows(query) == [("purchase", 1), ("view", 1)]


def test_the_number_of_events_is_bounded(lab, monkeypatch):
    monkeypatch.setattr(events, "MAX_EVENTS", 100)
    client = lab.client()
    for index in range(512):
        client.record("purchase", amount=index, category="c1")
    client.close()
    kept = [json.loads(fields)["amount"] for (fields,) in lab.rows("SELECT fields FROM events ORDER BY id")]
    assert kept == list(range(412, 512))
    client = lab.client()
    assert client.status().counters == {"dropped: too many events": 412}


def test_the_outbox_is_bounded_while_no_collector_answers(lab, monkeypatch):
    """At most the answers of two epochs wait. Expired ones are dropped and counted."""
    monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.Backoff.remaining", lambda *_: 0.0)
    lab.recorder = Recorder(TimeoutError())
    client = lab.client(lab.survey(questions=3))
    most = 0
    for _ in range(20):
        lab.live(client)
        most = max(most, client.status().waiting)
    assert most <= 2
    status = client.status()
    assert status.counters["expired"] + 3 * status.waiting == 3 * 20
    assert len({batch.id for batch in lab.recorder.batches}) > 10  # a tick tries one of two waiting batches


def test_mistakes_of_the_app_are_dropped_counted_and_logged_once(lab, caplog):
    client = lab.client()
    for _ in range(3):
        client.record("refund", amount=12345)
        client.record("purchase", amount=1, category="c1", colour="canary")
        client.record("purchase", amount=float("nan"), category="c" * 101)
    client.close()
    assert [record.getMessage() for record in caplog.records] == [
        "record: an event that is not in any survey was dropped; Client(strict=True) names it",
        "record: a field of 'purchase' that is not in any survey was dropped; Client(strict=True) names it",
        f"record: field purchase.amount {vocabulary.REQUIREMENT}; the value was dropped",
        f"record: field purchase.category {vocabulary.REQUIREMENT}; the value was dropped",
    ]
    assert b"canary" not in lab.on_disk()
    assert lab.client().status().counters == {"dropped: not in any survey": 6, "dropped: unusable value": 6}


def test_a_string_in_a_summed_field_is_dropped_and_is_not_0(lab, caplog):
    client = lab.client()
    for _ in range(3):
        client.record("purchase", amount="42", category="42")
    client.close()
    assert [record.getMessage() for record in caplog.records] == [
        "record: field purchase.amount must be a number, because a survey sums it; the value was dropped"
    ]
    assert {fields for (fields,) in lab.rows("SELECT fields FROM events")} == {'{"category": "42"}'}
    assert lab.client().status().counters == {"dropped: unusable value": 3}


def test_strict_raises_for_mistakes_of_the_app(lab):
    client = lab.client(strict=True)
    for call, message in [
        (lambda: client.record("refund"), "event 'refund' is not in any survey; the surveys use purchase"),
        (lambda: client.record("purchase", colour="red"), "field purchase.colour is not in any survey"),
        (lambda: client.record("purchase", amount=1e13), "field purchase.amount must be a number within 10\\^12 or .*"),
        (
            lambda: client.record("purchase", amount="canary"),
            "field purchase.amount must be a number, because a survey sums it, got str$",
        ),
    ]:
        with pytest.raises(ClientError, match=f"^{message}"):
            call()
    client.record("purchase", amount=1, category="c1")


def test_nothing_raises_into_the_app(lab, monkeypatch, caplog):
    """Whatever fails inside, every call returns, the failure is reported, and no value is logged."""
    client = lab.client()

    def fail(*_, **__):
        raise RuntimeError("canary")

    for name in ("store", "answer", "send", "explain", "status", "receipts", "grant", "withdraw", "close", "permit"):
        monkeypatch.setattr(f"hushtally.client_sdk.device.device.Device.{name}", fail)
    client.record("purchase", amount=1)
    client.tick()
    assert client.flush(0) is False
    assert client.receipts() == ()
    assert client.status() == Status.unreadable([lab.survey()], "the state file cannot be read")
    assert "Habits" in str(client.explain())
    client.grant_consent()
    client.withdraw_consent()
    client.close()
    assert {fault.kind for fault in lab.faults} == {"RuntimeError"}
    assert {fault.during for fault in lab.faults} >= {"record", "tick", "flush", "status", "withdraw_consent"}
    assert "canary" not in caplog.text + str(lab.faults)


def test_after_close_no_call_fails(lab):
    client = lab.client()
    client.close()
    client.close()
    client.record("purchase", amount=1)
    client.tick()
    assert client.flush(0) is False
    assert client.status().silent == "the client was closed"
    assert lab.faults == []


def test_devices_in_one_file_are_independent(lab):
    """Each has its own events, schedule, ledger and consent. The same local key is the same device."""
    survey = lab.survey(questions=2, each=1, every=2)
    clients = [lab.client(survey, device=f"customer-{index}", agreed=index != 2) for index in range(3)]
    clients[0].record("purchase", amount=1, category="c1")
    for client in clients:
        client.tick()
    lab.clock.advance(days=1)
    for client in clients:
        client.tick()
    lab.clock.advance(days=1, seconds=-1)
    for client in clients:
        client.tick()
    assert len(lab.recorder.reports) == 2
    assert lab.rows("SELECT DISTINCT device FROM events") == [(1,)]
    assert lab.rows("SELECT device, sum(epsilon) FROM ledger GROUP BY device") == [(1, 1.0), (2, 1.0)]
    clients[0].withdraw_consent()
    assert clients[1].status().surveys[0].consent
    again = lab.client(survey, device="customer-1", agreed=False)
    assert again.status().surveys == clients[1].status().surveys


def test_a_client_may_have_several_surveys(lab):
    """Each survey has its own batches. An event that both use is stored once."""
    other = lab.survey(id="other", epsilon=0.5)
    client = lab.client([lab.survey(), other])
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 2)
    assert Counter(batch.survey for batch in lab.recorder.batches) == {"habits": 2, "other": 2}
    assert [survey.spent for survey in client.status().surveys] == [2.0, 1.0]
    assert lab.rows("SELECT count(*) FROM events") == [(1,)]
    text = str(client.explain())
    assert "Privacy budget spent: epsilon 2 of at most 20." in text
    assert "Privacy budget spent: epsilon 1 of at most 10." in text
    assert [one.survey for one in client.receipts()] == ["habits", "other"]


def test_two_versions_of_a_survey_in_one_client_are_refused(lab):
    """Also if the state file cannot be used, because it is a mistake of the app."""
    for state in (lab.path, "/dev/null/state.db"):
        with pytest.raises(ClientError, match="surveys must have different ids; pass only the newer of two versions"):
            lab.client([lab.survey(), lab.survey(version=2)], state=state)


def test_events_of_a_survey_without_consent_are_not_recorded(lab):
    """An update of the app adds a second survey. Until the customer agrees, its events are not stored."""
    first = Survey.parse(lab.text().replace("purchase", "visit"))
    lab.client(first).close()
    client = lab.client([first, lab.survey(id="second")], agreed=False)
    client.record("visit", amount=1)
    client.record("purchase", amount=1)
    client.close()
    assert lab.rows("SELECT name FROM events") == [("visit",)]


def test_an_opt_out_stops_everything(lab, monkeypatch):
    """With either variable nothing is recorded, answered or sent. A withdrawal still works."""
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    client.close()
    for name in ("DO_NOT_TRACK", "HUSHTALLY_DISABLED"):
        monkeypatch.setenv(name, "1")
        client = lab.client()
        client.record("purchase", amount=1, category="c1")
        lab.live(client)
        assert client.flush(0) is False
        assert client.status().silent == f"{name} is set"
        assert "What the device sends" in str(client.explain())
        client.close()
        monkeypatch.setenv(name, "0")
    assert lab.rows("SELECT count(*) FROM events") == [(1,)]
    assert lab.rows("SELECT count(*) FROM ledger") == [(0,)]
    assert lab.recorder.requests == []
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    lab.client().withdraw_consent()
    assert lab.rows("SELECT granted FROM consents") == [(0,)]


def test_every_survey_has_a_status_also_if_the_device_does_nothing(lab, monkeypatch):
    """In the app's order, all silent for the same reason. The status shows what is in the file, if it can be read."""
    surveys = [lab.survey(), lab.survey(id="second")]
    client = lab.client(surveys)
    lab.live(client)
    monkeypatch.setenv("DO_NOT_TRACK", "1")

    def statuses(agreed, spent, most, why):
        return tuple(SurveyStatus(name, 1, agreed, why, spent, most) for name in ("habits", "second"))

    off = "DO_NOT_TRACK is set"
    assert client.status() == Status(off, statuses(True, 1.0, 20.0, off), 0, {"delivered": 2})
    client.close()
    assert client.status() == Status(off, statuses(True, 1.0, 20.0, off), 0, {"delivered": 2})
    monkeypatch.delenv("DO_NOT_TRACK")
    closed = "the client was closed"
    assert client.status() == Status(closed, statuses(True, 1.0, 20.0, closed), 0, {"delivered": 2})
    for path in lab.folder.iterdir():
        path.unlink()
    assert client.status() == Status(closed, statuses(False, 0.0, 0.0, closed), 0, {})
    assert list(lab.folder.iterdir()) == []  # reading the status creates no file
    unusable = lab.client(surveys, state="/dev/null/state.db", agreed=False)
    status = unusable.status()
    assert status.silent.startswith("the state file /dev/null/state.db cannot be used: ")
    assert status == Status(status.silent, statuses(False, 0.0, 0.0, status.silent), 0, {})


def test_no_repr_and_no_log_contains_a_value(lab, caplog):
    caplog.set_level(logging.DEBUG)
    client = lab.client()
    client.record("purchase", amount=777777, category="canary")
    client.record("unnamed-event", amount=777777)
    client.record("purchase", canary=777777)
    lab.live(client, 3)
    shown = caplog.text + repr(client) + repr(client.status()) + repr(client.explain()) + repr(client.receipts())
    shown += repr(vars(client)) + repr(vars(client._device))
    assert "777777" not in shown
    assert "'canary'" not in shown


def test_a_state_in_memory_creates_no_file(lab):
    client = lab.client(state=":memory:")
    lab.live(client, 2)
    assert len(lab.recorder.reports) == 2
    assert list(lab.folder.iterdir()) == []


def test_a_real_client_uses_the_system_randomness(lab):
    """Two devices answer differently. (Equal by chance 1 in 10^11: 20 symbols of 4.)"""
    answers = []
    for key in "ab":
        lab.clock.now = ScriptedClock("2026-11-02").now
        lab.recorder = Recorder()
        client = lab.client(lab.survey(epsilon=0.01), device=key, randomness=None)
        lab.live(client, 20)
        answers.append([report.symbol for report in lab.recorder.reports])
    assert answers[0] != answers[1]


def test_seeded_randomness_is_repeatable(lab):
    lives = []
    for _ in range(2):
        lab.clock.now = ScriptedClock("2026-11-02").now
        lab.recorder = Recorder()
        client = lab.client(state=":memory:", randomness=SeededRandomness(5))
        lab.live(client, 5)
        lives.append(lab.recorder.bodies)
    assert lives[0] == lives[1]
    assert isinstance(client, Client)


def test_status_and_explanation_announce_the_next_answer(lab):
    """The announced epoch is the next one that is answered, and none after the last answer."""
    client = lab.client(lab.survey(every=5))
    announced = []
    for _ in range(20):
        (survey,) = client.status().surveys
        if survey.next is not None:
            assert f"The next answer is in {survey.next}." in str(client.explain())
        announced.append(survey.next)
        lab.live(client, 1)
    answered = sorted(report.epoch for report in lab.recorder.reports)
    assert len(answered) == 4
    assert sorted({epoch for epoch in announced if epoch}) == answered
    assert all(epoch is None or epoch >= f"2026-11-{2 + day:02}" for day, epoch in enumerate(announced))
    assert client.status().surveys[0].next is None
    assert lab.client(agreed=False).status().surveys[0].next is None
