"""A state file that is full, read-only, corrupt, copied or restored, and a clock that jumps.

In every case: nothing raises, no (question, epoch) is ever randomized twice, and status() says how things stand.
"""

import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import closing

import pytest

from client_sdk import Client
from client_sdk.schedule import ENDED, REPLACED
from client_sdk.testing import Recorder, ScriptedClock, SeededRandomness


def assert_answered_once(lab):
    """No question of an epoch left the device with two different answers."""
    symbols = defaultdict(set)
    for batch in lab.recorder.batches:
        for report in batch.reports:
            symbols[report.question, report.epoch].add((batch.id, report.symbol))
    assert all(len(found) == 1 for found in symbols.values()), symbols


def silence(client):
    return client.status().surveys[0].silent


class TestFullDisk:
    @pytest.fixture
    def full(self, lab):
        """A client with three epochs behind it whose file may not grow, and what gives it room again."""
        client = lab.client(lab.survey(questions=20))
        lab.live(client, 3)
        connection = client._device._state._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return client, lambda: connection.execute("PRAGMA max_page_count = 100000")

    def test_nothing_is_drawn_that_the_ledger_does_not_know(self, lab, full):
        client, make_room = full
        before = lab.rows("SELECT * FROM ledger")
        while not lab.faults:
            for _ in range(64):
                client.record("purchase", amount=1, category="c1" * 40)
        for _ in range(5):
            client.tick()
        assert client.status().silent == "the last try failed (OperationalError)"
        assert lab.rows("SELECT * FROM ledger") == before
        assert {fault.kind for fault in lab.faults} == {"OperationalError"}
        make_room()
        lab.live(client, 2)
        assert len(lab.recorder.batches) == 5
        assert_answered_once(lab)

    def test_memory_stays_bounded(self, lab, full):
        """Events that cannot be written go, the oldest first; at most 64 wait."""
        client, _ = full
        for _ in range(5000):
            client.record("purchase", amount=1, category="c1" * 40)
        assert len(client._device.journal._buffer) <= 64

    def test_what_waits_is_still_sent(self, lab, full):
        client, _ = full
        client.tick()
        waiting = client.status().waiting
        lab.clock.advance(seconds=86_399)
        client.tick()
        assert len(lab.recorder.batches) == 3 + waiting
        assert_answered_once(lab)

    @pytest.mark.skipif(os.getuid() != 0, reason="mounting takes root")
    def test_a_file_system_without_room(self, lab, tmp_path):
        """The same on a real one: 300 kB in all."""
        place = tmp_path / "tiny"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            lab.path = place / "state.db"
            client = lab.client()
            for day in range(8):
                for _ in range(640):
                    client.record("purchase", amount=day, category="c1" * 40)
                lab.live(client)
            assert "OperationalError" in {fault.kind for fault in lab.faults}
            assert_answered_once(lab)
            reports = {("q0", report.epoch) for report in lab.recorder.reports}
            assert reports <= set(lab.rows("SELECT question, epoch FROM ledger"))
            lab.close()
        finally:
            subprocess.run(["umount", "-l", place], check=True)


class TestReadOnly:
    def test_a_read_only_file_makes_the_client_silent(self, lab, monkeypatch):
        lab.live(lab.client(), 2)
        lab.end()
        connect = sqlite3.connect
        monkeypatch.setattr(
            "client_sdk.state.sqlite3.connect",
            lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
        )
        client = lab.client()
        lab.live(client, 2)
        assert (
            client.status().silent == f"the state file {lab.path} cannot be used: attempt to write a readonly database"
        )
        assert len(lab.recorder.batches) == 2
        assert [fault.during for fault in lab.faults] == ["constructor"]

    def test_a_file_that_becomes_read_only_answers_no_more(self, lab):
        client = lab.client()
        lab.live(client, 2)
        client._device._state._connection.execute("PRAGMA query_only = ON")
        lab.live(client, 2)
        client.record("purchase", amount=1)
        assert client.status().silent == "the last try failed (OperationalError)"
        assert client.status().surveys[0].spent == 2.0
        client.close()
        assert len(lab.recorder.batches) == 2
        assert {fault.kind for fault in lab.faults} == {"OperationalError"}

    @pytest.mark.parametrize("place", ["/proc/none/state.db", "/dev/null/state.db", "/"])
    def test_a_place_that_is_none(self, lab, place):
        client = lab.client(state=place)
        client.record("purchase", amount=1)
        lab.live(client)
        assert client.status().silent.startswith(f"the state file {place} cannot be used: ")
        assert lab.recorder.requests == []

    def test_a_mark_that_cannot_be_written_keeps_answers_back(self, lab, monkeypatch):
        """Without it a restored file could not be told: nothing is sent until it can be written."""
        client = lab.client()
        lab.live(client)

        def fail(*_):
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr("client_sdk.identity.Identity._write", fail)
            lab.live(client)
            assert len(lab.recorder.batches) == 1
            assert client.status().silent == "the last try failed (PermissionError)"
        lab.clock.advance(seconds=-1)
        client.tick()
        lab.clock.advance(seconds=1)
        assert [report.epoch for report in lab.recorder.reports] == ["2026-11-02", "2026-11-03"]
        assert silence(client) is None


class TestCorrupt:
    """After three epochs, the last one answered and sent, the file is damaged while nobody has it open."""

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

    def go_on(self, lab, survey):
        client = lab.client(survey)
        client.record("purchase", amount=1, category="c9")
        client.tick()
        lab.clock.advance(hours=1)
        lab.live(client, 3)
        assert_answered_once(lab)
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
        ids=["garbage", "garbage after the header", "a stump", "half", "half its pages", "zeros"],
    )
    def test_the_client_is_silent_and_says_so(self, lab, survey, damage):
        lab.path.write_bytes(damage(lab.path.read_bytes()))
        sent = len(lab.recorder.batches)
        client = self.go_on(lab, survey)
        assert len(lab.recorder.batches) == sent
        status = client.status()
        assert status.silent
        assert lab.faults

    def test_an_emptied_file_does_not_begin_anew(self, lab, survey):
        """Its mark is still there: what was answered cannot be known."""
        lab.path.write_bytes(b"")
        sent = len(lab.recorder.batches)
        assert silence(self.go_on(lab, survey)) == REPLACED
        assert len(lab.recorder.batches) == sent

    def test_garbage_in_place_of_the_log_is_noticed_when_answers_were_in_it(self, lab, survey):
        """SQLite takes such a log for empty; what it held is missing in the file, and the mark tells."""
        client = lab.client(survey)
        lab.clock.advance(hours=1)
        client.tick()
        shutil.copytree(lab.folder, lab.folder / "as-killed")
        lab.end()
        log = lab.path.with_name("state.db-wal")
        for path in (lab.path, log):
            path.write_bytes((lab.folder / "as-killed" / path.name).read_bytes())
        log.write_bytes(random.Random(1).randbytes(log.stat().st_size))
        assert silence(self.go_on(lab, survey)) == REPLACED

    def test_no_damage_makes_it_answer_twice(self, lab, survey, monkeypatch):
        """300 random wounds: bits flipped, stretches zeroed, the end cut off, pages exchanged."""
        monkeypatch.setattr("client_sdk.identity.Identity._ours", lambda *_: True)  # each wound is the first
        source = random.Random(7)
        mark = lab.path.with_name("state.db.mark")
        answers = mark.read_bytes()
        whole = lab.path.read_bytes()
        requests = list(lab.recorder.requests)
        now = lab.clock.now
        ends = Counter()
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(source.choice([1, 1, 3])):
                wound(data, source)
            for path in lab.folder.glob("state.db-*"):
                path.unlink()
            lab.path.write_bytes(data)
            mark.write_bytes(answers)
            lab.clock.now = now
            lab.recorder.requests[:] = requests
            client = self.go_on(lab, survey)
            status = client.status()
            ends[status.silent or status.surveys[0].silent] += 1
            lab.end()
        print(ends)
        assert len(ends) > 2, ends
        assert ends[None] > 30, ends

    @pytest.mark.parametrize(
        "wound",
        [
            "DELETE FROM answers",
            "UPDATE answers SET symbol = 1 - symbol",
            "DELETE FROM ledger WHERE epoch = '2026-11-03'",
            "UPDATE ledger SET epsilon = 0",
            "UPDATE schedules SET seen = 0",
            "DELETE FROM schedules",
            "UPDATE consents SET version = 3",
        ],
    )
    def test_values_that_nobody_wrote_are_noticed(self, lab, wound):
        """At the next answer at the latest; from then on the device is silent, also after a restart."""
        survey = lab.survey(memory="permanent")
        client = lab.client(survey)
        lab.live(client, 2)
        client._device._state._connection.execute(wound)
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

    @pytest.mark.parametrize(
        "wound",
        ["DELETE FROM devices WHERE device = 2", "UPDATE devices SET key = x'00'", "UPDATE file SET salt = x'00'"],
    )
    def test_a_device_that_is_forgotten_is_not_taken_for_a_new_one(self, lab, wound):
        for key in "abc":
            lab.live(lab.client(device=key))
            lab.clock.advance(days=-1)
        lab.end()
        with closing(sqlite3.connect(lab.path)) as connection, connection:
            connection.execute(wound.replace("x'00'", "x'00' WHERE device = 2") if "devices SET" in wound else wound)
        client = lab.client(device="b")
        lab.live(client, 2)
        assert client.status().silent == "the state file is damaged"
        assert len(lab.recorder.batches) == 3

    def test_new_devices_join_a_sound_file(self, lab):
        for key in "abc":
            lab.client(device=key)
            lab.end()
        assert lab.faults == []
        assert lab.rows("SELECT count(*) FROM devices") == [(3,)]

    def test_another_programs_database_is_left_alone(self, lab):
        with closing(sqlite3.connect(lab.path)) as connection:
            connection.execute("CREATE TABLE theirs(x)")
        before = lab.path.read_bytes()
        client = lab.client()
        lab.live(client)
        assert client.status().silent
        assert lab.path.read_bytes() == before
        assert [path.name for path in lab.folder.iterdir()] == ["state.db"]

    def test_a_newer_version_of_the_file_is_left_alone(self, lab):
        lab.client()
        lab.end()
        with closing(sqlite3.connect(lab.path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        assert lab.client().status().silent == f"the state file {lab.path} was written by a newer hushtally"


def wound(data, source):
    """Changes something at random in a database of 4,096-byte pages."""
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


class TestClock:
    def test_a_clock_that_goes_back_answers_no_epoch_before_the_latest(self, lab):
        client = lab.client()
        lab.live(client, 5)
        lab.clock.advance(days=-3)
        client.tick()
        assert silence(client) == "the clock went back"
        lab.live(client, 6)
        assert [report.epoch[-2:] for report in lab.recorder.reports] == [
            "02",
            "03",
            "04",
            "05",
            "06",
            "07",
            "08",
            "09",
        ]
        assert silence(client) is None
        assert_answered_once(lab)

    def test_epochs_skipped_by_a_jump_ahead_are_not_made_up_for(self, lab):
        client = lab.client()
        lab.live(client)
        lab.clock.advance(days=7)
        lab.live(client)
        lab.clock.advance(days=-7)
        lab.live(client, 9)
        assert [report.epoch[-2:] for report in lab.recorder.reports] == ["02", "10", "11", "12"]

    def test_a_clock_years_ahead_ends_the_survey_for_good(self, lab):
        """Whether the time between was real cannot be known: the device forgets, and stays silent."""
        client = lab.client()
        client.record("purchase", amount=1, category="c1")
        lab.live(client, 2)
        lab.clock.advance(days=3650)
        client.tick()
        assert silence(client) == ENDED
        assert lab.rows("SELECT count(*) FROM events") == [(0,)]
        lab.clock.advance(days=-3650)
        lab.live(client, 2)
        assert silence(client) == ENDED
        assert len(lab.recorder.batches) == 2

    @pytest.mark.parametrize("year", [1, 1970, 9999])
    def test_a_clock_at_the_ends_of_time(self, lab, year):
        client = lab.client()
        lab.clock.now = lab.clock.now.replace(year=year, month=12, day=31)
        client.record("purchase", amount=1, category="c1")
        client.tick()
        client.flush(0)
        assert client.status().silent is None
        assert lab.recorder.requests == []
        assert lab.faults == []

    def test_a_report_of_a_clock_that_is_ahead_expires_by_its_own_epoch(self, lab):
        client = lab.client()
        client.tick()
        lab.clock.advance(days=3)
        client.tick()
        assert client.status().counters["expired"] == 1
        assert lab.recorder.requests == []


def ticking(place, day, barrier, survey, received, seed):
    """A process that ticks through the days with others."""
    clock = ScriptedClock(day)
    recorder = Recorder()
    options = {"cohort": {"platform": "web"}, "clock": clock, "transport": recorder}
    client = Client(
        survey, collector="https://tally.example", state=place, randomness=SeededRandomness(seed), **options
    )
    client.grant_consent()
    for _ in range(5):
        barrier.wait()
        client.record("purchase", amount=1, category="c1")
        client.tick()
        barrier.wait()
        clock.advance(seconds=86_399)
        client.tick()
        clock.advance(seconds=1)
    client.close()
    received.put(recorder.bodies)


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_processes_on_one_file_answer_once_together(lab, memory):
    """Five at the same time: each epoch is answered by one of them; two may send it, then in the same bytes."""
    fork = multiprocessing.get_context("fork")
    barrier, received = fork.Barrier(5), fork.SimpleQueue()
    survey = lab.survey(memory=memory, questions=2)
    processes = [
        fork.Process(target=ticking, args=(lab.path, "2026-11-02T00:00:00", barrier, survey, received, seed))
        for seed in range(5)
    ]
    for process in processes:
        process.start()
    bodies = {body for _ in processes for body in received.get()}
    for process in processes:
        process.join()
    assert len(bodies) == 5
    lab.recorder.requests += [("POST", "", body) for body in bodies]
    assert_answered_once(lab)
    assert lab.rows("SELECT count(*) FROM ledger") == [(10,)]
    assert lab.rows("SELECT count(*) FROM events") == [(25,)]


def copy_over(source, target):
    """Puts the contents back in place, with their times, as `cp -p` does."""
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
        shutil.copystat(path, target / path.name)


def copy_anew(source, target):
    """Replaces the files, as tar and rsync do; the file system may well use the same inodes again."""
    for path in source.iterdir():
        (target / path.name).unlink(missing_ok=True)
        shutil.copy2(path, target / path.name)


class TestCopies:
    @pytest.fixture
    def lived(self, lab, tmp_path):
        """A device after three epochs, with a backup from after the second one."""
        # on a file system with inodes that are used again
        lab.folder = tmp_path / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 2)
        self.backup = tmp_path / "backup"
        shutil.copytree(lab.folder, self.backup)
        time.sleep(0.02)  # file systems keep time in ticks of some milliseconds
        self.live(lab, 1)
        return lab

    def live(self, lab, epochs, survey=None, **options):
        """A process of its own: it opens the file, lives, and is gone."""
        client = lab.client(survey, **options)
        lab.live(client, epochs)
        found = client.status().surveys[0]
        lab.end()
        return found

    def restored(self, lab):
        found = self.live(lab, 3)
        assert_answered_once(lab)
        return found

    def test_a_life_in_several_processes_goes_on(self, lived):
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_moved_folder_goes_on(self, lived):
        lived.folder = lived.folder.rename(lived.folder.with_name("moved"))
        lived.path = lived.folder / "state.db"
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_an_old_file_put_back_with_its_mark(self, lived, put_back):
        """What was spent since cannot be known: it counts as all that was set aside."""
        put_back(self.backup, lived.folder)
        found = self.restored(lived)
        assert (found.silent, found.spent, found.most) == (REPLACED, 2.0, 20.0)
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_an_old_file_put_back_beside_the_mark_of_today(self, lived, put_back):
        (self.backup / "state.db.mark").unlink()
        put_back(self.backup, lived.folder)
        assert self.restored(lived).silent == REPLACED
        assert len(lived.recorder.batches) == 3

    def test_an_old_file_put_back_under_a_running_client(self, lived):
        """It notices at its next answer at the latest."""
        client = lived.client()
        client.tick()
        lived.close()
        client = lived.client()
        copy_over(self.backup, lived.folder)
        lived.live(client, 3)
        assert len(lived.recorder.batches) == 4  # the last one was made before
        assert client.status().surveys[0].silent == REPLACED
        assert_answered_once(lived)

    def test_a_copy_is_silent_and_the_original_goes_on(self, lived):
        original = lived.folder
        lived.folder = original.with_name("copy")
        shutil.copytree(original, lived.folder)
        lived.path = lived.folder / "state.db"
        assert self.restored(lived).silent == REPLACED
        assert len(lived.recorder.batches) == 3
        lived.clock.advance(days=-3)
        lived.folder, lived.path = original, original / "state.db"
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_copy_of_what_a_process_left_that_died_before_the_mark(self, lived, monkeypatch):
        """The mark may then be behind, or have changed unnoticed; that it is another file shows all the same."""
        with monkeypatch.context() as patch:
            patch.setattr("client_sdk.state.State.mark", lambda self: None)
            self.live(lived, 0)
            client = lived.client()
            client.tick()
            lived.end()
        original = lived.folder
        lived.folder = original.with_name("copy")
        shutil.copytree(original, lived.folder)
        lived.path = lived.folder / "state.db"
        client = lived.client()
        lived.clock.advance(days=1)
        client.tick()
        assert silence(client) == REPLACED
        lived.end()
        lived.folder, lived.path = original, original / "state.db"
        client = lived.client()
        client.tick()
        assert silence(client) is None
        assert_answered_once(lived)

    @pytest.mark.parametrize("mark", [None, b"", b"nonsense", b"%020d" % 1])
    def test_a_mark_that_is_missing_or_was_tampered_with(self, lived, mark):
        place = lived.folder / "state.db.mark"
        place.unlink()
        if mark is not None:
            place.write_bytes(mark)
        assert self.restored(lived).silent == REPLACED
        assert len(lived.recorder.batches) == 3

    def test_a_deleted_file_whose_mark_is_left(self, lived):
        lived.path.unlink()
        assert self.restored(lived).silent == REPLACED
        assert len(lived.recorder.batches) == 3

    def test_deleting_both_begins_anew(self, lived):
        """The one way out, and documented as such: who deletes the app's state resets its ledger."""
        lived.path.unlink()
        (lived.folder / "state.db.mark").unlink()
        found = self.restored(lived)
        assert (found.silent, found.spent) == (None, 3.0)

    def test_a_file_from_before_the_survey_was_taken_up(self, lab):
        """It knows of no survey, and must not take one up that its successor has answered; later ones it may."""
        client = lab.client(agreed=False)
        client.close()
        lab.end()
        backup = lab.folder.parent / f"{lab.folder.name}-backup"
        shutil.copytree(lab.folder, backup)
        try:
            time.sleep(0.02)
            self.live(lab, 3)
            lab.clock.advance(hours=-1)
            copy_over(backup, lab.folder)
            found = self.live(lab, 3)
            assert (found.silent, found.spent, found.most) == (REPLACED, 0.0, 20.0)
            assert len(lab.recorder.batches) == 3
            later = lab.survey(id="later", starts="2026-11-07", ends="2026-11-10")
            assert self.live(lab, 6, later, max_lifetime_epsilon=23).silent is not None
            assert self.live(lab, 0, later, max_lifetime_epsilon=24).silent is None or lab.clock().day > 10
        finally:
            shutil.rmtree(backup)

    def test_a_later_survey_begins_anew(self, lived):
        """Under a ceiling the doubtful one counts with all that it may have cost."""
        copy_over(self.backup, lived.folder)
        self.restored(lived)
        later = lived.survey(id="later", starts="2026-11-09", ends="2026-11-12")
        assert self.live(lived, 2, later, max_lifetime_epsilon=23).silent == "it would cost more than the app's ceiling"
        found = self.live(lived, 2, later, max_lifetime_epsilon=24)
        assert (found.silent, found.most) == (None, 4.0)
        assert [batch.survey for batch in lived.recorder.batches[3:]] == ["later"] * 2

    def test_a_restored_file_resends_only_the_very_bytes(self, lab):
        """A batch that was delivered after the backup: it goes out again under its own id, and counts once."""
        client = lab.client()
        client.tick()
        lab.end()
        backup = lab.folder.parent / f"{lab.folder.name}-backup"
        shutil.copytree(lab.folder, backup)
        try:
            time.sleep(0.02)
            lab.clock.advance(seconds=86_399)
            self.live(lab, 0)
            client = lab.client()
            client.tick()
            lab.end()
            copy_over(backup, lab.folder)
            client = lab.client()
            client.tick()
            assert len(lab.recorder.bodies) == 2
            assert len(set(lab.recorder.bodies)) == 1
        finally:
            shutil.rmtree(backup)
