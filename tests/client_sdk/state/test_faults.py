"""A state file on a full disk, a read-only state file, and a damaged one.

In every case nothing raises, no question of an epoch is randomized twice, and `status` gives the reason.
"""

import os
import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing

import pytest

from hushtally.client_sdk.state import checksum
from hushtally.client_sdk.state.silence import Silence


class TestFullDisk:
    @pytest.fixture
    def full(self, lab):
        """A client after three epochs whose file cannot grow, and a function that lets it grow again."""
        client = lab.client(lab.survey(questions=20))
        lab.live(client, 3)
        connection = client._device._state._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return client, lambda: connection.execute("PRAGMA max_page_count = 100000")

    def test_no_answer_is_drawn_that_the_ledger_cannot_store(self, lab, full):
        client, make_room = full
        before = lab.rows("SELECT * FROM ledger")
        while not lab.faults:
            for _ in range(64):
                client.record("purchase", amount=1, category="c1" * 40)
        for _ in range(5):
            client.tick()
        assert client.status().silent == "the last try failed: the disk is full"
        assert lab.rows("SELECT * FROM ledger") == before
        assert {fault.kind for fault in lab.faults} == {"OperationalError"}
        make_room()
        lab.live(client, 2)
        assert len(lab.recorder.batches) == 5
        lab.assert_answered_once()

    def test_memory_is_bounded(self, lab, full):
        """At most 64 events wait to be written; the oldest are dropped first."""
        client, _ = full
        for _ in range(5000):
            client.record("purchase", amount=1, category="c1" * 40)
        assert len(client._device.journal._buffer) <= 64

    def test_waiting_reports_are_still_sent(self, lab, full):
        client, _ = full
        client.tick()
        waiting = client.status().waiting
        lab.clock.advance(seconds=86_399)
        client.tick()
        assert len(lab.recorder.batches) == 3 + waiting
        lab.assert_answered_once()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
    def test_a_file_system_without_room(self, lab, tmp_path):
        """A file system of 300 kB."""
        folder = tmp_path / "tiny"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            lab.path = folder / "state.db"
            client = lab.client()
            for day in range(8):
                for _ in range(640):
                    client.record("purchase", amount=day, category="c1" * 40)
                lab.live(client)
            assert "OperationalError" in {fault.kind for fault in lab.faults}
            lab.assert_answered_once()
            reports = {("q0", report.epoch) for report in lab.recorder.reports}
            assert reports <= set(lab.rows("SELECT question, epoch FROM ledger"))
            lab.close()
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


class TestReadOnly:
    def test_a_read_only_file_makes_the_client_silent(self, lab, monkeypatch):
        lab.live(lab.client(), 2)
        lab.end()
        connect = sqlite3.connect
        monkeypatch.setattr(
            "hushtally.client_sdk.state.file.sqlite3.connect",
            lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
        )
        client = lab.client()
        lab.live(client, 2)
        assert client.status().silent == f"the state file {lab.path} cannot be used: the state file is read-only"
        assert len(lab.recorder.batches) == 2
        assert [fault.during for fault in lab.faults] == ["constructor", "grant_consent"]

    def test_a_device_whose_file_becomes_read_only_stops_answering(self, lab):
        client = lab.client()
        lab.live(client, 2)
        client._device._state._connection.execute("PRAGMA query_only = ON")
        lab.live(client, 2)
        client.record("purchase", amount=1)
        assert client.status().silent == "the last try failed: the state file is read-only"
        assert client.status().surveys[0].spent == 2.0
        client.close()
        assert len(lab.recorder.batches) == 2
        assert {fault.kind for fault in lab.faults} == {"OperationalError"}

    def test_a_file_that_is_not_a_database(self, lab):
        lab.path.write_text("canary " * 100)
        client = lab.client()
        assert client.status().silent == f"the state file {lab.path} cannot be used: the state file is not a database"
        assert lab.path.read_text() == "canary " * 100

    @pytest.mark.parametrize("path", ["/proc/none/state.db", "/dev/null/state.db", "/"])
    def test_a_path_that_cannot_exist(self, lab, path):
        client = lab.client(state=path)
        client.record("purchase", amount=1)
        lab.live(client)
        assert client.status().silent.startswith(f"the state file {path} cannot be used: ")
        assert lab.recorder.requests == []

    def test_a_path_that_is_a_folder_and_a_folder_that_is_a_file(self, lab):
        (lab.folder / "file").touch()
        for path, problem in (
            (lab.folder, "it is a folder"),
            (lab.folder / "file" / "state.db", "its folder is a file"),
        ):
            client = lab.client(state=path)
            assert client.status().silent == f"the state file {path} cannot be used: {problem}"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_read_only_folder(self, lab, capfd):
        """The file itself can be written, but SQLite creates another file beside it."""
        folder = lab.folder / "theirs"
        folder.mkdir()
        path = folder / "state.db"
        path.touch()
        path.chmod(0o666)
        lab.folder.chmod(0o755)
        folder.chmod(0o555)
        child = os.fork()
        if child == 0:
            try:
                if os.getuid() == 0:
                    os.setuid(65534)  # root could write in the folder
                print(lab.client(state=path).status().silent, flush=True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        folder.chmod(0o755)
        assert capfd.readouterr().out == f"the state file {path} cannot be used: its folder is read-only\n"

    def test_nothing_is_sent_while_the_mark_cannot_be_written(self, lab, monkeypatch):
        """Without the mark, a restored file could not be detected."""
        client = lab.client()
        lab.live(client)

        def fail(*_):
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr("hushtally.client_sdk.state.rollback.RollbackGuard._create", fail)
            lab.live(client)
            assert len(lab.recorder.batches) == 1
            assert client.status().silent == "the last try failed: PermissionError"
        lab.clock.advance(seconds=-1)
        client.tick()
        lab.clock.advance(seconds=1)
        assert [report.epoch for report in lab.recorder.reports] == ["2026-11-02", "2026-11-03"]
        assert lab.silence(client) is None


class TestCorrupt:
    """The device has answered and sent three epochs; then the file is damaged while no process has it open."""

    @pytest.fixture(params=["fresh", "permanent"])
    def survey(self, lab, request):
        survey = lab.survey(questions=3, memory=request.param)
        client = lab.client(survey)
        for day in range(3):
            client.record("purchase", amount=1, category=f"c{day}")
            client.tick()
            lab.clock.advance(seconds=86_399)
            client.tick()
            lab.clock.advance(seconds=1)
        lab.clock.advance(hours=-1)  # still in the third epoch
        lab.end()
        return survey

    def continue_with(self, lab, survey):
        client = lab.client(survey)
        client.record("purchase", amount=1, category="c9")
        client.tick()
        lab.clock.advance(hours=1)
        lab.live(client, 3)
        lab.assert_answered_once()
        return client

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"garbage" * 5000,
            lambda data: data[:100] + random.Random(1).randbytes(len(data) - 100),
            lambda data: data[:50],
            lambda data: data[: len(data) // 2],
            lambda data: data[: 4096 * (len(data) // 8192)],
            lambda data: data[:4096] + bytes(len(data) - 4096),
        ],
        ids=["garbage", "garbage after the header", "fifty bytes", "half", "half its pages", "zeros"],
    )
    def test_the_client_is_silent_and_gives_a_reason(self, lab, survey, damage):
        lab.path.write_bytes(damage(lab.path.read_bytes()))
        sent = len(lab.recorder.batches)
        client = self.continue_with(lab, survey)
        assert len(lab.recorder.batches) == sent
        status = client.status()
        assert status.silent
        assert lab.faults

    def test_an_emptied_file_is_not_a_new_device(self, lab, survey):
        """Its mark is still there, so it is unknown what was answered."""
        lab.path.write_bytes(b"")
        sent = len(lab.recorder.batches)
        assert lab.silence(self.continue_with(lab, survey)) == Silence.ROLLED_BACK
        assert len(lab.recorder.batches) == sent

    def test_a_log_replaced_by_garbage_is_detected_if_it_contained_answers(self, lab, survey):
        """SQLite treats such a log as empty. The answers are missing in the file, which the mark shows."""
        client = lab.client(survey)
        lab.clock.advance(hours=1)
        client.tick()
        shutil.copytree(lab.folder, lab.folder / "as-killed")
        lab.end()
        log = lab.path.with_name("state.db-wal")
        for path in (lab.path, log):
            path.write_bytes((lab.folder / "as-killed" / path.name).read_bytes())
        log.write_bytes(random.Random(1).randbytes(log.stat().st_size))
        assert lab.silence(self.continue_with(lab, survey)) == Silence.ROLLED_BACK

    def test_no_damage_makes_a_device_answer_twice(self, lab, survey):
        """300 random damages: flipped bits, ranges of zeros, a cut end, exchanged pages."""
        source = random.Random(7)
        put_back_mark = keep_mark(lab.path)
        whole = lab.path.read_bytes()
        requests = list(lab.recorder.requests)
        now = lab.clock.now
        ends = Counter()
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(source.choice([1, 1, 3])):
                damage_anywhere(data, source)
            for path in lab.folder.glob("state.db-*"):
                path.unlink()
            lab.path.write_bytes(data)
            put_back_mark()
            lab.clock.now = now
            lab.recorder.requests[:] = requests
            client = self.continue_with(lab, survey)
            status = client.status()
            ends[status.silent or status.surveys[0].silent] += 1
            lab.end()
        print(ends)
        assert len(ends) > 2, ends
        assert ends[None] > 30, ends

    def test_no_damage_of_the_outbox_stops_delivery(self, lab):
        """300 random damages of a batch of three reports: the batch is delivered or counted, later ones are delivered.

        If SQLite finds the file itself malformed, nothing is sent, and the status gives the reason.
        """
        survey = lab.survey(questions=3)
        lab.client(survey).tick()
        lab.end()
        ((page,),) = lab.rows("SELECT rootpage FROM sqlite_master WHERE name = 'outbox'")
        ((body,),) = lab.rows("SELECT body FROM outbox")
        put_back_mark = keep_mark(lab.path)
        whole = lab.path.read_bytes()
        source, now, ends = random.Random(8), lab.clock.now, Counter()
        for _ in range(300):
            data = bytearray(whole)
            damage_between(data, 4096 * page - len(body) - 160, 4096 * page, source)  # SQLite fills a page from its end
            lab.path.write_bytes(data)
            put_back_mark()
            lab.clock.now = now
            lab.recorder.requests.clear()
            client = lab.client(survey)
            lab.live(client, 4)
            status = client.status()
            if status.silent is None:
                assert (status.waiting, lab.silence(client)) == (0, None)
                assert status.counters["delivered"] >= 3 * 3
                missing = 3 * 4 - sum(status.counters.values())
                ends[max(status.counters.keys() - {"delivered"}, default=""), missing] += 1
            else:
                ends[status.silent, 0] += 1
            lab.end()
        assert {end for end, _ in ends} == {
            "",
            "expired",
            "dropped: damaged reports",
            "the last try failed: the state file is damaged",
        }
        # the number is wrong if the damage hides how many reports there are, or which device the row belongs to
        assert sum(times for (_, missing), times in ends.items() if missing == 0) > 250, ends
        assert ends["", 3] < 10, ends

    def test_no_damage_of_the_events_stops_answers(self, lab):
        """300 random damages of two events: the answers that are due are made and sent.

        If SQLite finds the file itself malformed, nothing is sent, and the status gives the reason.
        """
        survey = lab.survey()
        client = lab.client(survey)
        client.tick()
        for _ in range(2):
            client.record("purchase", amount=1, category="c1")
        lab.end()
        ((page,),) = lab.rows("SELECT rootpage FROM sqlite_master WHERE name = 'events'")
        put_back_mark = keep_mark(lab.path)
        whole = lab.path.read_bytes()
        source, now, ends = random.Random(9), lab.clock.now, Counter()
        for _ in range(300):
            data = bytearray(whole)
            damage_between(data, 4096 * page - 110, 4096 * page, source)  # SQLite fills a page from its end
            lab.path.write_bytes(data)
            put_back_mark()
            lab.clock.now = now
            lab.recorder.requests.clear()
            client = lab.client(survey)
            lab.live(client, 3)
            status = client.status()
            if status.silent is None:
                assert len(lab.recorder.reports) == 3
                ends["dropped: damaged events" in status.counters] += 1
            else:
                ends[status.silent] += 1
            lab.end()
        assert set(ends) <= {True, False, "the last try failed: the state file is damaged"}, ends
        assert ends[True] > 20, ends
        assert ends[True] + ends[False] > 200, ends

    @pytest.mark.parametrize(
        "damage",
        [
            "DELETE FROM answers",
            "UPDATE answers SET symbol = 1 - symbol",
            "DELETE FROM ledger WHERE epoch = '2026-11-03'",
            "UPDATE ledger SET epsilon = 0",
            "UPDATE schedules SET handled = 0",
            "DELETE FROM schedules",
            "UPDATE consents SET version = 3",
        ],
    )
    def test_values_changed_by_something_else_are_detected(self, lab, damage):
        """With the next answer at the latest. From then on the device is silent, also after a restart."""
        survey = lab.survey(memory="permanent")
        client = lab.client(survey)
        lab.live(client, 2)
        client._device._state._connection.execute(damage)
        lab.live(client, 1)
        assert [fault.kind for fault in lab.faults] == ["StateError"]
        for _ in range(2):
            lab.live(client, 1)
            client.record("purchase", amount=1)
            assert client.status().silent == "the state file is damaged"
            lab.end()
            client = lab.client(survey)
        assert len(lab.recorder.batches) == 2
        assert lab.rows("SELECT count(*) FROM events") == [(0,)]
        client.withdraw_consent()
        assert lab.rows("SELECT granted FROM consents") == [(0,)]
        client.grant_consent()
        assert client.status().silent == "the state file is damaged"

    def test_status_and_explanation_agree(self, lab, survey):
        """Neither announces a next answer for a damaged file."""
        with closing(sqlite3.connect(lab.path)) as connection, connection:
            connection.execute("UPDATE ledger SET epsilon = 0")
        client = lab.client(survey, agreed=False)
        status, damaged = client.status(), "the state file is damaged"
        assert (status.silent, status.surveys[0].silent, status.surveys[0].next) == (damaged, damaged, None)
        lines = client.explain().sections[-1].lines
        assert lines[0] == f"Nothing is recorded or sent: {damaged}."
        assert "next answer" not in " ".join(lines)

    @pytest.mark.parametrize(
        ("assignment", "silent"),
        [
            ("file SET mark_inode", "the state file {} cannot be used: the state file is damaged"),
            ("consents SET at", "the state file is damaged"),
        ],
    )
    def test_no_content_of_the_file_is_quoted(self, lab, assignment, silent, caplog):
        """SQLite's own message quotes a string that is not UTF-8."""
        lab.client().close()
        lab.end()
        with closing(sqlite3.connect(lab.path)) as connection, connection:
            connection.execute(f"UPDATE {assignment} = CAST(x'ff43616e617279' AS TEXT)")  # \xff, then "Canary"
        client = lab.client(agreed=False)
        assert client.status().silent == silent.format(lab.path)
        assert [fault.kind for fault in lab.faults] == (["StateError"] if "{}" in silent else [])
        assert "Canary" not in caplog.text + str(client.status())

    @pytest.mark.parametrize(
        "damage",
        ["DELETE FROM devices WHERE device = 2", "UPDATE devices SET key = x'00'", "UPDATE file SET salt = x'00'"],
    )
    def test_a_device_that_was_lost_is_not_a_new_device(self, lab, damage):
        for key in "abc":
            lab.live(lab.client(device=key))
            lab.clock.advance(days=-1)
        lab.end()
        with closing(sqlite3.connect(lab.path)) as connection, connection:
            connection.execute(damage.replace("x'00'", "x'00' WHERE device = 2") if "devices SET" in damage else damage)
        client = lab.client(device="b")
        lab.live(client, 2)
        assert client.status().silent == "the state file is damaged"
        assert len(lab.recorder.batches) == 3

    def test_new_devices_are_added_to_an_intact_file(self, lab):
        for key in "abc":
            lab.client(device=key)
            lab.end()
        assert lab.faults == []
        assert lab.rows("SELECT count(*) FROM devices") == [(3,)]

    def test_the_list_of_devices_is_verified_once_in_a_process(self, lab, monkeypatch):
        """It takes half a second for 100,000 devices, and a kiosk opens a client for every visit."""
        calls = []
        of_device_list = checksum.of_device_list
        monkeypatch.setattr(
            "hushtally.client_sdk.state.checksum.of_device_list",
            lambda connection: calls.append(1) or of_device_list(connection),
        )
        for key in "abc":
            lab.client(device=key).close()
        assert calls == [1]

    def test_the_database_of_another_program_is_left_unchanged(self, lab):
        with closing(sqlite3.connect(lab.path)) as connection:
            connection.execute("CREATE TABLE theirs(x)")
        before = lab.path.read_bytes()
        client = lab.client()
        lab.live(client)
        assert client.status().silent
        assert lab.path.read_bytes() == before
        assert [path.name for path in lab.folder.iterdir()] == ["state.db"]

    def test_a_file_of_a_newer_version_is_left_unchanged(self, lab):
        lab.client()
        lab.end()
        with closing(sqlite3.connect(lab.path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        assert lab.client().status().silent == f"the state file {lab.path} was written by a newer version of hushtally"


def damage_between(data, first, end, source):
    """Flip a bit, or write zeros, in a part of a database."""
    at = source.randrange(first, end)
    if source.randrange(2):
        data[at] ^= 1 << source.randrange(8)
    else:
        size = min(source.choice([1, 8, 64]), end - at)
        data[at : at + size] = bytes(size)


def keep_mark(path):
    """Keep the mark file; return a function that puts the same file back, so that no rollback is detected."""
    mark = path.with_name("state.db.mark")
    kept = path.with_name("kept")
    kept.hardlink_to(mark)

    def put_back():
        mark.unlink()
        mark.hardlink_to(kept)

    return put_back


def damage_anywhere(data, source):
    """Damage a database of 4,096-byte pages at a random place."""
    kind = source.randrange(4)
    at = source.randrange(len(data))
    pages = len(data) // 4096
    if kind == 0:
        data[at] ^= 1 << source.randrange(8)
    elif kind == 1:
        size = source.choice([8, 64, 4096])
        data[at : at + size] = bytes(len(data[at : at + size]))
    elif kind == 2:
        del data[max(at, 512) :]
    elif pages > 2:
        one, other = (4096 * source.randrange(1, pages) for _ in range(2))
        data[one : one + 4096], data[other : other + 4096] = data[other : other + 4096], data[one : one + 4096]
