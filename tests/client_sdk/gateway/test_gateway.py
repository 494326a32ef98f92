"""A gateway: every device keeps its own consent, schedule and budget; all devices are answered and sent together."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import closing

import pytest

from hushtally import ClientError, Gateway, Survey
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.device import devices as devices_module
from hushtally.client_sdk.device.answering import Answering
from hushtally.client_sdk.protocol.report import MAX_BYTES, MAX_REPORTS, Batch
from hushtally.client_sdk.state import outbox
from hushtally.client_sdk.testing import Recorder, SeededRandomness

WEB = {"platform": "web"}
END_OF_DAY = 86_398


class Scripted(Recorder):
    """Answers each request as scripted; once the script is over, counts everything."""

    def __init__(self, *outcomes):
        super().__init__()
        self.outcomes = list(outcomes)

    def request(self, method, url, body, timeout, *rest):
        answer = super().request(method, url, body, timeout, *rest)
        outcome = self.outcomes.pop(0) if self.outcomes else answer
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(body) if callable(outcome) else outcome


@pytest.fixture
def open_gateway(lab):
    """Opens gateways on one state file; closes them."""
    opened = []

    def open_one(surveys=None, **options):
        options = {
            "collector": "https://tally.example",
            "state": lab.path,
            "clock": lab.clock,
            "randomness": SeededRandomness(len(opened)),
            "transport": lab.recorder,
            "on_error": lab.faults.append,
            **options,
        }
        opened.append(Gateway(surveys or lab.survey(), **options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def agree(gateway, count):
    """Devices with these keys, whose customers agree."""
    handles = [gateway.device(f"customer-{number}", WEB) for number in range(count)]
    assert all(handle.grant_consent() for handle in handles)
    return handles


def sent(recorder):
    """The epoch and the symbol of every report, each batch once."""
    return [(report.epoch, report.symbol) for report in recorder.reports]


class TestHandle:
    def test_creating_it_executes_no_sql(self, lab, open_gateway):
        gateway, statements = open_gateway(), []
        gateway._core._state._connection.set_trace_callback(statements.append)
        for number in range(100):
            gateway.device(f"customer-{number}", WEB)
        assert statements == []

    @pytest.mark.parametrize(
        ("key", "cohort", "message"),
        [
            (7, None, "device must be a string, got 7"),
            ("a", "web", 'cohort must be a mapping like {"platform": "web"}, got \'web\''),
            ("a", {"platform": "tv"}, 'cohort platform must be one of .*, got {"platform": "tv"}'),
            ("a", {"colour": "red"}, "cohort must give exactly the declared cohorts"),
        ],
    )
    def test_refuses_a_wrong_argument(self, open_gateway, key, cohort, message):
        with pytest.raises(ClientError, match=message):
            open_gateway().device(key, cohort)

    def test_nothing_is_stored_of_a_customer_who_did_not_agree(self, lab, open_gateway):
        gateway = open_gateway()
        for number in range(5):
            gateway.device(f"customer-{number}", WEB).record("purchase", amount=1)
        gateway.tick()
        for table in ("devices", "events", "counters", "consents", "cohorts", "outbox"):
            assert lab.rows(f"SELECT count(*) FROM {table}") == [(0,)]

    def test_an_event_of_an_earlier_consent_is_not_stored(self, lab, open_gateway):
        gateway = open_gateway()
        [device] = agree(gateway, 1)
        device.record("purchase", amount=1)
        device.withdraw_consent()
        device.grant_consent()
        device.record("purchase", amount=2)
        gateway.close()
        assert lab.rows("SELECT fields FROM events") == [('{"amount": 2}',)]

    def test_a_device_has_a_receipt_with_the_text_that_is_stored_once(self, lab, open_gateway):
        first, second = agree(open_gateway(), 2)
        assert lab.rows("SELECT count(*) FROM texts") == [(1,)]
        assert first.receipts()[0].shown == second.receipts()[0].shown
        assert "Habits" in first.receipts()[0].shown

    def test_its_status_and_explanation_are_those_of_a_client(self, lab, open_gateway):
        agree(open_gateway(), 1)
        client = lab.client(device="customer-0", agreed=False)
        handle = open_gateway().device("customer-0")
        assert handle.status() == client.status()
        assert str(handle.explain()) == str(client.explain())

    def test_after_close_the_status_says_so(self, open_gateway):
        gateway = open_gateway()
        [device] = agree(gateway, 1)
        gateway.close()
        assert device.status().silent == "the client was closed"


class TestTick:
    def test_answers_for_all_devices_whoever_visited(self, lab, open_gateway, monkeypatch):
        """No visit is needed after consent, and another process may tick."""
        monkeypatch.setattr(devices_module, "TOGETHER", 7)
        agree(open_gateway(), 40)
        gateway = open_gateway()
        for _ in range(3):
            gateway.tick()
            lab.clock.advance(seconds=END_OF_DAY)
            gateway.tick()
            lab.clock.advance(days=1, seconds=-END_OF_DAY)
        assert Counter(epoch for epoch, _ in sent(lab.recorder)) == {f"2026-11-0{day}": 40 for day in (2, 3, 4)}
        assert lab.rows("SELECT DISTINCT count(*) FROM ledger GROUP BY device") == [(3,)]
        assert gateway.counters() == {"delivered": 120}
        assert lab.faults == []

    def test_every_report_has_its_own_moment(self, lab, open_gateway):
        """Ticks through a day send about as many reports in each quarter."""
        gateway = open_gateway()
        agree(gateway, 400)
        gateway.tick()
        numbers = []
        for _ in range(4):
            lab.clock.advance(hours=6)
            before = len(lab.recorder.reports)
            gateway.tick()
            numbers.append(len([one for one in lab.recorder.reports if one.epoch == "2026-11-02"][before:]))
        assert sum(numbers) == 400
        assert all(60 < number < 140 for number in numbers)  # binomial(400, 1/4); fails by chance 1 in 10^5

    def test_batches_are_mixed_and_sorted_by_content(self, lab, open_gateway, monkeypatch):
        monkeypatch.setattr(outbox, "MAX_REPORTS", 30)
        gateway = open_gateway([lab.survey(id=id, questions=2) for id in ("a", "b")])
        agree(gateway, 50)
        gateway.tick()
        lab.clock.advance(seconds=END_OF_DAY)
        gateway.tick()
        batches = lab.recorder.batches
        assert Counter(batch.survey for batch in batches for _ in batch.reports) == {"a": 100, "b": 100}
        assert len({batch.id for batch in batches}) == len(batches) == 8
        for batch in batches:
            rows = [(report.question, report.epoch, report.symbol) for report in batch.reports]
            assert rows == sorted(rows)
            assert len(rows) <= 30

    def test_a_batch_stays_within_the_limits_of_the_collector(self, lab, open_gateway):
        gateway = open_gateway(lab.survey(cohorts={"platform": ["web", "x" * 90]}))
        for number in range(MAX_REPORTS + 200):
            gateway.device(str(number), {"platform": "x" * 90}).grant_consent()
        gateway.tick()
        lab.clock.advance(seconds=END_OF_DAY)
        gateway.tick()
        assert sum(len(batch.reports) for batch in lab.recorder.batches) == MAX_REPORTS + 200
        assert all(len(body) <= MAX_BYTES for body in lab.recorder.bodies)

    def test_one_device_whose_rule_fails_does_not_stop_the_others(self, lab, open_gateway, monkeypatch):
        gateway = open_gateway()
        agree(gateway, 5)
        answer = Answering._answer_device

        def fail(self, records, *rest):
            if records.device == 3:
                raise ZeroDivisionError
            return answer(self, records, *rest)

        monkeypatch.setattr(Answering, "_answer_device", fail)
        gateway.tick()
        assert lab.rows("SELECT device FROM ledger") == [(1,), (2,), (4,), (5,)]
        assert [(fault.during, fault.kind) for fault in lab.faults] == [("tick", "ZeroDivisionError")]
        monkeypatch.undo()
        gateway.tick()
        assert lab.rows("SELECT device FROM ledger ORDER BY device") == [(number,) for number in range(1, 6)]

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE ledger SET epsilon = 0 WHERE device = 3",
            "DELETE FROM ledger WHERE device = 3",
            "UPDATE schedules SET questions = CAST(x'ff' AS TEXT) WHERE device = 3",
            "UPDATE consents SET at = CAST(x'ff' AS TEXT) WHERE device = 3",
            "UPDATE schedules SET rollbacks = 'x' WHERE device = 3",
        ],
    )
    def test_a_damaged_device_is_silent_and_the_others_answer(self, lab, open_gateway, damage):
        gateway = open_gateway()
        handles = agree(gateway, 5)
        gateway.tick()
        with closing(lab.connect()) as connection, connection:
            connection.execute(damage)
        lab.clock.advance(days=1)
        for handle in handles:
            handle.record("purchase", amount=1)
        gateway.tick()
        assert lab.rows("SELECT device FROM ledger WHERE epoch = '2026-11-03'") == [(1,), (2,), (4,), (5,)]
        assert lab.rows("SELECT device FROM events") == [(1,), (2,), (4,), (5,)]
        assert handles[2].status().silent == "the state file is damaged"
        assert handles[1].status().silent is None

    def test_expired_events_are_deleted(self, lab, open_gateway, monkeypatch):
        monkeypatch.setattr(devices_module, "PRUNED_TOGETHER", 2)
        gateway = open_gateway()
        for handle in agree(gateway, 5):
            handle.record("purchase", amount=1)
        gateway.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(5,)]
        lab.clock.advance(days=5)
        gateway.tick()
        assert lab.rows("SELECT count(*) FROM events") == [(0,)]

    def test_opted_out_nothing_is_answered_or_sent(self, lab, open_gateway, monkeypatch):
        gateway = open_gateway()
        agree(gateway, 3)
        monkeypatch.setenv("DO_NOT_TRACK", "1")
        gateway.tick()
        assert lab.rows("SELECT * FROM ledger") == []
        assert gateway.device("customer-0").grant_consent() is False

    def test_a_ceiling_holds_for_each_device(self, lab, open_gateway):
        """Each device may spend the epsilon of one survey; the second survey is silent on all."""
        surveys = [lab.survey(id=id) for id in ("a", "b")]
        gateway = open_gateway(surveys, max_lifetime_epsilon=surveys[0].lifetime_epsilon)
        handles = agree(gateway, 3)
        gateway.tick()
        assert lab.rows("SELECT device, survey FROM ledger") == [(1, "a"), (2, "a"), (3, "a")]
        assert handles[0].status().surveys[1].silent == "the survey would exceed the app's privacy budget"

    def test_consent_covers_a_later_version_if_the_app_says_so(self, lab, open_gateway):
        agree(open_gateway(lab.survey(version=1)), 3)
        keeping = open_gateway(lab.survey(version=2), keep_consent=True, max_lifetime_epsilon=100.0)
        keeping.tick()
        assert lab.rows("SELECT DISTINCT version FROM schedules WHERE silent IS NULL") == [(2,)]
        assert lab.rows("SELECT count(*) FROM ledger") == [(3,)]

    def test_without_that_a_later_version_asks_nobody(self, lab, open_gateway):
        agree(open_gateway(lab.survey(version=1)), 3)
        open_gateway(lab.survey(version=2)).tick()
        assert lab.rows("SELECT count(*) FROM ledger") == [(0,)]

    def test_missed_epochs_are_counted(self, lab, open_gateway):
        gateway = open_gateway()
        agree(gateway, 3)
        lab.clock.advance(days=3)
        gateway.tick()
        assert gateway.counters() == {"missed: no working tick": 9}

    def test_permanent_answers_are_repeated(self, lab, open_gateway):
        gateway = open_gateway(lab.survey(memory="permanent", epsilon_permanent=1.0))
        handles = agree(gateway, 10)
        symbols = []
        for _ in range(3):
            for handle in handles:
                handle.record("purchase", amount=1, category="c1")
            gateway.tick()
            lab.clock.advance(seconds=END_OF_DAY)
            gateway.tick()
            lab.clock.advance(days=1, seconds=-END_OF_DAY)
        for epoch in ("2026-11-02", "2026-11-03", "2026-11-04"):
            symbols.append(sorted(symbol for day, symbol in sent(lab.recorder) if day == epoch))
        assert symbols[0] == symbols[1] == symbols[2]
        assert lab.rows("SELECT DISTINCT total(epsilon) FROM ledger GROUP BY device") == [(1.0,)]


class TestDelivery:
    def due(self, lab, gateway, count):
        handles = agree(gateway, count)
        gateway.tick()
        lab.clock.advance(seconds=END_OF_DAY)
        return handles

    def test_a_retry_sends_the_same_bytes(self, lab, open_gateway):
        """Also if more reports wait by then: the first attempt may have arrived."""
        recorder = Scripted(TimeoutError())
        gateway = open_gateway(transport=recorder)
        self.due(lab, gateway, 20)
        gateway.tick()
        lab.clock.advance(days=1)
        gateway.tick()
        first, second = [body for body in recorder.bodies if b'"2026-11-02"' in body]
        assert first == second
        assert gateway.counters()["delivered"] >= 20

    def test_a_batch_that_never_left_is_taken_apart_and_a_withdrawal_removes_its_report(self, lab, open_gateway):
        recorder = Scripted(ConnectionRefusedError())
        gateway = open_gateway(transport=recorder)
        handles = self.due(lab, gateway, 20)
        gateway.tick()
        assert lab.rows("SELECT count(*) FROM mixes") == [(0,)]
        handles[0].withdraw_consent()
        lab.clock.advance(seconds=3_600)
        gateway.tick()
        first, second = recorder.batches[:2]
        assert (len(first.reports), len(second.reports)) == (20, 19)
        assert first.id != second.id

    def test_a_withdrawal_after_an_attempt_leaves_nothing_that_names_the_device(self, lab, open_gateway):
        """The bytes may have arrived, so that they are repeated for the other devices; this device is not counted."""
        recorder = Scripted(TimeoutError())
        gateway = open_gateway(transport=recorder)
        handles = self.due(lab, gateway, 3)
        gateway.tick()
        assert handles[0].withdraw_consent()
        assert lab.rows("SELECT count(*) FROM outbox WHERE device = 1") == [(0,)]
        lab.clock.advance(seconds=3_600)
        gateway.tick()
        assert recorder.bodies[0] == recorder.bodies[1]
        assert gateway.counters() == {"delivered": 2}

    def test_a_batch_of_devices_that_all_withdrew_is_not_sent_again(self, lab, open_gateway):
        recorder = Scripted(TimeoutError())
        gateway = open_gateway(transport=recorder)
        for handle in self.due(lab, gateway, 3):
            if not recorder.bodies:
                gateway.tick()
            handle.withdraw_consent()
        lab.clock.advance(seconds=3_600)
        gateway.tick()
        assert len(recorder.bodies) == 1
        assert lab.rows("SELECT count(*) FROM mixes") == [(0,)]

    def test_a_withdrawal_before_the_batch_removes_the_report(self, lab, open_gateway):
        gateway = open_gateway()
        self.due(lab, gateway, 5)[1].withdraw_consent()
        gateway.tick()
        assert len(lab.recorder.reports) == 4

    def test_a_withdrawal_during_a_request_is_honoured_by_the_next_batches(self, lab, open_gateway, monkeypatch):
        monkeypatch.setattr(outbox, "MAX_REPORTS", 2)
        handles = []

        def withdraw(body):
            for handle in handles:
                handle.withdraw_consent()
            return Response(200, json.dumps({"accepted": 2, "rejected": []}).encode())

        recorder = Scripted(withdraw)
        gateway = open_gateway(transport=recorder)
        handles += self.due(lab, gateway, 6)
        gateway.tick()
        assert len(recorder.bodies) <= 2  # the withdrawal is written when this thread's call has ended
        gateway.tick()
        assert lab.rows("SELECT count(*) FROM outbox") == [(0,)]

    def test_each_rejected_report_goes_back_to_its_device(self, lab, open_gateway):
        """Retryable reports are sent again, unchanged, in a later batch; the counters name the right devices."""

        def reject_symbol_zero(body):
            batch = Batch.decode(body)
            rejected = [
                {"index": index, "reason": "epoch_not_open", "retryable": True}
                for index, report in enumerate(batch.reports)
                if report.symbol == 0
            ]
            accepted = len(batch.reports) - len(rejected)
            return Response(200, json.dumps({"accepted": accepted, "rejected": rejected}).encode())

        recorder = Scripted(reject_symbol_zero)
        gateway = open_gateway(transport=recorder)
        self.due(lab, gateway, 30)
        symbols = {
            device: Batch.decode(body).reports[0].symbol for device, body in lab.rows("SELECT device, body FROM outbox")
        }
        gateway.tick()
        postponed = {device for (device,) in lab.rows("SELECT device FROM counters WHERE name LIKE 'postponed%'")}
        assert postponed == {device for device, symbol in symbols.items() if symbol == 0}
        assert 0 < len(postponed) < 30
        lab.clock.advance(seconds=2)
        gateway.tick()
        lab.clock.advance(days=1)
        gateway.tick()
        delivered = dict(lab.rows("SELECT device, count FROM counters WHERE name = 'delivered'"))
        assert all(delivered[device] >= 1 for device in symbols)

    def test_a_client_and_a_gateway_of_one_file_send_no_report_twice(self, lab, open_gateway):
        """Reports that a client has tried alone stay alone, and a client sends what a gateway answered."""
        gateway = open_gateway()
        agree(gateway, 4)
        client = lab.client(device="customer-0", agreed=False, transport=Scripted(TimeoutError()))
        gateway.tick()
        lab.clock.advance(seconds=END_OF_DAY)
        client.tick()
        gateway.tick()
        bodies = [*client._device.delivery._transport.bodies, *lab.recorder.bodies]
        reports = {Batch.decode(body).id: len(Batch.decode(body).reports) for body in bodies}
        assert sorted(reports.values()) == [1, 3]
        assert gateway.counters() == {"delivered": 4}

    def test_a_restored_file_sends_no_report_in_a_second_batch(self, lab, open_gateway):
        """What was in no batch when the copy was made may have been sent since, so that it is counted as lost."""
        gateway = open_gateway()
        self.due(lab, gateway, 5)
        gateway.close()
        lab.end()
        copy = lab.path.read_bytes()
        gateway = open_gateway()
        gateway.tick()
        gateway.close()
        lab.end()
        lab.path.with_name("restored.db").write_bytes(copy)
        lab.path.with_name("restored.db").replace(lab.path)
        gateway = open_gateway()
        gateway.tick()
        assert len(lab.recorder.reports) == 5
        assert gateway.counters() == {"dropped: the state file was restored": 5}


PROCESS = """
import sys
from hushtally import Gateway, Survey
from hushtally.testing import ScriptedClock
from hushtally.client_sdk.testing import accepted

class Log:
    def request(self, method, url, body, timeout, *rest):
        with open(sys.argv[3], "ab") as out:
            out.write(body + b"\\n")
        return accepted(body)

clock = ScriptedClock("2026-11-02T00:00:00")
gateway = Gateway(Survey.load(sys.argv[1]), collector="https://tally.example", state=sys.argv[2], clock=clock,
                  transport=Log())
print("open", flush=True)
sys.stdin.readline()
for _ in range(5):
    gateway.tick()
    clock.advance(seconds=86_398)
    gateway.flush(60.0)
    clock.advance(seconds=2)
gateway.close()
"""


class TestProcesses:
    def test_two_processes_answer_nothing_twice_and_send_no_report_in_two_batches(self, lab, open_gateway, tmp_path):
        (tmp_path / "survey.toml").write_text(lab.text())
        gateway = open_gateway(Survey.load(tmp_path / "survey.toml"))
        agree(gateway, 120)
        gateway.close()
        command = [sys.executable, "-c", PROCESS, tmp_path / "survey.toml", lab.path, tmp_path / "received"]
        both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
        for one in both:
            assert one.stdout.readline() == b"open\n"
        for one in both:
            one.communicate(b"\n", timeout=240)
            assert one.returncode == 0
        batches = {}
        for body in (tmp_path / "received").read_bytes().splitlines():
            assert batches.setdefault(Batch.decode(body).id, body) == body, "a retry sent other bytes"
        epochs = Counter(report.epoch for body in batches.values() for report in Batch.decode(body).reports)
        assert epochs == {f"2026-11-0{day}": 120 for day in range(2, 7)}
        assert lab.rows("SELECT name, sum(count) FROM counters GROUP BY name") == [("delivered", 600)]
        assert lab.rows("SELECT DISTINCT count(*) FROM ledger GROUP BY device") == [(5,)]

    def test_a_preloading_server_forks_after_the_gateway_is_open(self, lab, open_gateway):
        """Both processes record events of all customers; nothing is lost or stored twice."""
        gateway = open_gateway()
        handles = agree(gateway, 5)
        handles[0].record("purchase", amount=1)
        import os

        pid = os.fork()
        if pid == 0:
            for handle in handles:
                handle.record("purchase", amount=2)
            gateway.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for handle in handles:
            handle.record("purchase", amount=3)
        gateway.close()
        stored = defaultdict(int)
        for (fields,) in lab.rows("SELECT fields FROM events"):
            stored[fields] += 1
        assert stored == {'{"amount": 1}': 1, '{"amount": 2}': 5, '{"amount": 3}': 5}
