"""One device from consent to the end of its survey, over a recorder, a scripted clock and seeded randomness."""

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
    """One report per epoch and question, each charged, each delivered, and nothing after the end."""
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


def test_ticks_in_an_answered_epoch_answer_nothing(lab):
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
def test_a_device_answers_in_every_nth_epoch_by_a_phase_of_its_own(lab, every):
    """All phases come about, each device keeps its own, and none answers more often than the survey says."""
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
    """Of 4 questions a device answers the same 2 throughout; over 300 devices every pair comes 50 times or so.

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


def test_the_journal_is_pruned_to_the_longest_window(lab):
    client = lab.client(lab.survey(days=5))
    for _ in range(12):
        client.record("purchase", amount=1, category="c1")
        lab.live(client)
    days = [day for (day,) in lab.rows("SELECT day FROM events ORDER BY day")]
    today = lab.clock().date().toordinal()
    assert days == list(range(today - 5, today))  # the last prune was yesterday


def visits(text):
    """The same survey, about visits in place of purchases."""
    return Survey.parse(text.replace('"purchase', '"visit'))


def test_no_event_is_kept_for_the_window_of_another(lab):
    """Each for as long as `explain` says, also where one survey looks back further than another."""
    client = lab.client([lab.survey(), visits(lab.text(id="visits", days=15))])
    for name in ("purchase", "visit"):
        client.record(name, amount=1, category="c1")
    for days, left in ((4, ["purchase", "visit"]), (1, ["visit"]), (9, ["visit"]), (1, [])):
        lab.clock.advance(days=days)
        client.tick()
        assert [name for (name,) in lab.rows("SELECT name FROM events")] == left


def test_of_two_surveys_about_an_event_the_longer_window_counts(lab):
    client = lab.client([lab.survey(days=9), lab.survey(id="again")])
    client.record("purchase", amount=1, category="c1")
    for days, left in ((8, 1), (1, 0)):
        lab.clock.advance(days=days)
        client.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(left,)]


def test_events_of_a_survey_that_is_over_go_although_another_runs(lab):
    client = lab.client([lab.survey(ends="2026-11-03", days=9), visits(lab.text(id="visits"))])
    client.record("purchase", amount=1, category="c1")
    for days, left in ((1, 1), (1, 0)):
        lab.clock.advance(days=days)
        client.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(left,)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("later", "left"), [(3, 1), (4, 0)])
def test_a_new_version_keeps_what_was_recorded_no_longer_than_was_told(lab, keep, later, left):
    """Five days by the version that was agreed to, whatever the next one looks back at, agreed to yet or not."""
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    lab.live(client)
    lab.end()
    client = lab.client(lab.survey(version=2, days=365), agreed=False, keep_consent=keep, max_lifetime_epsilon=100)
    lab.clock.advance(days=later)
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(left,)]


def test_a_shorter_window_that_is_agreed_to_goes_for_what_is_there(lab):
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 3)
    lab.end()
    client = lab.client(lab.survey(version=2, days=2))
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_frequent_event_pushes_out_no_rare_one(lab, monkeypatch):
    monkeypatch.setattr(events, "MOST_EVENTS", 100)
    views = 'views = { count = "view", days = 5 }\n[[questions]]'
    client = lab.client(Survey.parse(lab.text().replace("[[questions]]", views, 1)))
    client.record("purchase", amount=1, category="c1")
    for _ in range(200):
        client.record("view")
    client.close()
    query = "SELECT name, count(*) BETWEEN 1 AND 163 FROM events GROUP BY name ORDER BY name"
    assert lab.rows(query) == [("purchase", 1), ("view", 1)]


def test_a_device_keeps_at_most_so_many_events(lab, monkeypatch):
    monkeypatch.setattr(events, "MOST_EVENTS", 100)
    client = lab.client()
    for index in range(512):
        client.record("purchase", amount=index, category="c1")
    client.close()
    kept = [json.loads(fields)["amount"] for (fields,) in lab.rows("SELECT fields FROM events ORDER BY id")]
    assert kept == list(range(412, 512))
    client = lab.client()
    assert client.status().counters == {"dropped: too many events": 412}


def test_the_outbox_is_bounded_while_no_collector_answers(lab, monkeypatch):
    """At most the answers of two epochs wait; what can no longer be accepted is dropped and counted."""
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
    assert len({batch.id for batch in lab.recorder.batches}) > 10  # of two that wait a tick tries one


def test_what_no_survey_names_is_dropped_counted_and_warned_about_once_by_name(lab, caplog):
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


def test_a_text_where_a_survey_sums_is_dropped_and_not_counted_as_0(lab, caplog):
    client = lab.client()
    for _ in range(3):
        client.record("purchase", amount="42", category="42")
    client.close()
    assert [record.getMessage() for record in caplog.records] == [
        "record: field purchase.amount must be a number, as a survey sums it; the value was dropped"
    ]
    assert {fields for (fields,) in lab.rows("SELECT fields FROM events")} == {'{"category": "42"}'}
    assert lab.client().status().counters == {"dropped: unusable value": 3}


def test_strict_raises_for_what_no_survey_names(lab):
    client = lab.client(strict=True)
    for call, message in [
        (lambda: client.record("refund"), "event 'refund' is not in any survey; the surveys use purchase"),
        (lambda: client.record("purchase", colour="red"), "field purchase.colour is not in any survey"),
        (lambda: client.record("purchase", amount=1e13), "field purchase.amount must be a number within 10\\^12 or .*"),
        (
            lambda: client.record("purchase", amount="canary"),
            "field purchase.amount must be a number, as a survey sums it, got str$",
        ),
    ]:
        with pytest.raises(ClientError, match=f"^{message}"):
            call()
    client.record("purchase", amount=1, category="c1")


def test_nothing_raises_into_the_app(lab, monkeypatch, caplog):
    """Whatever fails underneath: every call returns, the app is told the kind, and no value is logged."""
    client = lab.client()

    def fail(*_, **__):
        raise RuntimeError("canary")

    for name in ("record", "answer", "send", "explain", "status", "receipts", "grant", "withdraw", "close", "permit"):
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


def test_after_close_every_call_is_quiet(lab):
    client = lab.client()
    client.close()
    client.close()
    client.record("purchase", amount=1)
    client.tick()
    assert client.flush(0) is False
    assert client.status().silent == "the client was closed"
    assert lab.faults == []


def test_devices_in_one_file_know_nothing_of_each_other(lab):
    """Each has its own events, schedule, ledger and consent; a local key that comes again is the same device."""
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


def test_a_client_carries_several_surveys(lab):
    """Each is answered in its own batch, under its own id; events that either names are kept once."""
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
    """Also where the state file cannot be used: it is the app that erred."""
    for state in (lab.path, "/dev/null/state.db"):
        with pytest.raises(ClientError, match="surveys must have different ids: of two versions the newer alone"):
            lab.client([lab.survey(), lab.survey(version=2)], state=state)


def test_events_of_a_survey_without_consent_are_not_recorded(lab):
    """A second survey came with an update of the app: until the customer agrees, only the first one's events count."""
    first = Survey.parse(lab.text().replace("purchase", "visit"))
    lab.client(first).close()
    client = lab.client([first, lab.survey(id="second")], agreed=False)
    client.record("visit", amount=1)
    client.record("purchase", amount=1)
    client.close()
    assert lab.rows("SELECT name FROM events") == [("visit",)]


def test_the_switches_win_over_all(lab, monkeypatch):
    """With either set nothing is recorded, answered or sent, whatever the customer agreed to; withdrawing works."""
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


def test_every_survey_has_a_status_also_where_the_device_does_nothing(lab, monkeypatch):
    """In the app's order, silent for the same reason. It tells what stands in the file, if that can be read."""
    surveys = [lab.survey(), lab.survey(id="second")]
    client = lab.client(surveys)
    lab.live(client)
    monkeypatch.setenv("DO_NOT_TRACK", "1")

    def stands(agreed, spent, most, why):
        return tuple(SurveyStatus(name, 1, agreed, why, spent, most) for name in ("habits", "second"))

    off = "DO_NOT_TRACK is set"
    assert client.status() == Status(off, stands(True, 1.0, 20.0, off), 0, {"delivered": 2})
    client.close()
    assert client.status() == Status(off, stands(True, 1.0, 20.0, off), 0, {"delivered": 2})
    monkeypatch.delenv("DO_NOT_TRACK")
    closed = "the client was closed"
    assert client.status() == Status(closed, stands(True, 1.0, 20.0, closed), 0, {"delivered": 2})
    for path in lab.folder.iterdir():
        path.unlink()
    assert client.status() == Status(closed, stands(False, 0.0, 0.0, closed), 0, {})
    assert list(lab.folder.iterdir()) == []  # to ask does not make the file anew
    unusable = lab.client(surveys, state="/dev/null/state.db", agreed=False)
    status = unusable.status()
    assert status.silent.startswith("the state file /dev/null/state.db cannot be used: ")
    assert status == Status(status.silent, stands(False, 0.0, 0.0, status.silent), 0, {})


def test_no_repr_and_no_log_holds_a_value(lab, caplog):
    caplog.set_level(logging.DEBUG)
    client = lab.client()
    client.record("purchase", amount=777777, category="canary")
    client.record("unnamed-event", amount=777777)
    client.record("purchase", canary=777777)
    lab.live(client, 3)
    told = caplog.text + repr(client) + repr(client.status()) + repr(client.explain()) + repr(client.receipts())
    told += repr(vars(client)) + repr(vars(client._device))
    assert "777777" not in told
    assert "'canary'" not in told


def test_a_memory_state_works_without_a_file(lab):
    client = lab.client(state=":memory:")
    lab.live(client, 2)
    assert len(lab.recorder.reports) == 2
    assert list(lab.folder.iterdir()) == []


def test_the_system_draws_on_a_real_client(lab):
    """With the system's randomness, two devices do not answer alike (by chance 1 in 10^11: 20 symbols of 4)."""
    answers = []
    for key in "ab":
        lab.clock.now = ScriptedClock("2026-11-02").now
        lab.recorder = Recorder()
        client = lab.client(lab.survey(epsilon=0.01), device=key, randomness=None)
        lab.live(client, 20)
        answers.append([report.symbol for report in lab.recorder.reports])
    assert answers[0] != answers[1]


def test_scripted_randomness_makes_a_life_repeatable(lab):
    lives = []
    for _ in range(2):
        lab.clock.now = ScriptedClock("2026-11-02").now
        lab.recorder = Recorder()
        client = lab.client(state=":memory:", randomness=SeededRandomness(5))
        lab.live(client, 5)
        lives.append(lab.recorder.bodies)
    assert lives[0] == lives[1]
    assert isinstance(client, Client)


def test_status_and_explanation_say_when_the_device_answers_next(lab):
    """A developer who sees nothing sent learns when something will be; once answered it is the next turn, then none."""
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
