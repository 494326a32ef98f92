"""Several processes on one state file, and copied or restored state files: no question is answered twice an epoch."""

import errno
import multiprocessing
import os
import pkgutil
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

from hushtally import Client
from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness


def run_process(path, day, barrier, survey, received, seed):
    """Tick through five days, in step with the other processes."""
    clock = ScriptedClock(day)
    recorder = Recorder()
    options = {"cohort": {"platform": "web"}, "clock": clock, "transport": recorder}
    client = Client(survey, collector="https://tally.example", state=path, randomness=SeededRandomness(seed), **options)
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
    """Five at the same time: one of them answers each epoch. Two may send the answer, but then the same bytes."""
    fork = multiprocessing.get_context("fork")
    barrier, received = fork.Barrier(5), fork.SimpleQueue()
    survey = lab.survey(memory=memory, questions=2, days=30)
    processes = [
        fork.Process(target=run_process, args=(lab.path, "2026-11-02T00:00:00", barrier, survey, received, seed))
        for seed in range(5)
    ]
    for process in processes:
        process.start()
    bodies = {body for _ in processes for body in received.get()}
    for process in processes:
        process.join()
    assert len(bodies) == 5
    lab.recorder.requests += [("POST", "", body) for body in bodies]
    lab.assert_answered_once()
    assert lab.rows("SELECT count(*) FROM ledger") == [(10,)]
    assert lab.rows("SELECT count(*) FROM events") == [(25,)]


def test_a_new_file_that_another_process_is_creating(lab):
    """SQLite fails at once then; the client retries."""
    with closing(sqlite3.connect(lab.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.2, other.execute, ["COMMIT"])
        ending.start()
        client = lab.client()
        ending.join()
    assert client.status().silent is None
    assert lab.faults == []


def copy_over(source, target):
    """Overwrite the files with their copies and times, as `cp -p` does."""
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
        shutil.copystat(path, target / path.name)


def copy_anew(source, target):
    """Replace the files, as tar and rsync do; the file system may reuse their inodes."""
    for path in source.iterdir():
        (target / path.name).unlink(missing_ok=True)
        shutil.copy2(path, target / path.name)


def mark_is_due(path):
    """Whether the mark is not newer than every answer."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT mark_due OR pending_token IS NOT NULL FROM file").fetchone() == (1,)


class TestCopies:
    @pytest.fixture
    def lived(self, lab, disk):
        """A device after three epochs, with a backup from after the second one."""
        # not in memory: this file system may reuse inodes
        lab.folder = disk / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 2)
        self.backup = disk / "backup"
        shutil.copytree(lab.folder, self.backup)
        self.live(lab, 1)
        return lab

    def live(self, lab, epochs, survey=None, **options):
        """Open the file as a new process does, pass epochs, and close it."""
        client = lab.client(survey, **options)
        lab.live(client, epochs)
        found = client.status().surveys[0]
        lab.end()
        return found

    def answer_without_mark(self, lab):
        """Answer within a second after another device, so that no mark is written."""
        for options in ({"device": "another", "transport": Recorder()}, {}):
            client = lab.client(**options)
            client.tick()
        assert mark_is_due(lab.path)
        return client

    def live_restored(self, lab):
        found = self.live(lab, 3)
        lab.assert_answered_once()
        return found

    def test_a_device_continues_in_later_processes(self, lived):
        assert self.live_restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_device_continues_in_a_moved_folder(self, lived):
        lived.folder = lived.folder.rename(lived.folder.with_name("moved"))
        lived.path = lived.folder / "state.db"
        assert self.live_restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    @pytest.mark.parametrize("memory", ["fresh", "permanent"])
    @pytest.mark.parametrize("epochs", [0, 2])
    @pytest.mark.parametrize("files", ["state.db", "state.db*"], ids=["without-mark", "with-mark"])
    def test_a_backup_from_before_a_withdrawal_does_not_restore_consent(self, lab, disk, memory, epochs, files):
        """Whether or not the device had answered."""
        survey = lab.survey(memory=memory)
        lab.folder = disk / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, epochs, survey)
        backup = disk / "backup"
        shutil.copytree(lab.folder, backup)
        assert lab.client(survey, agreed=False).withdraw_consent()
        lab.end()
        for file in backup.glob("*"):
            if not file.match(files):
                file.unlink()
        copy_over(backup, lab.folder)
        client = lab.client(survey, agreed=False)
        lab.live(client, 3)
        assert lab.silence(client) == Silence.ROLLED_BACK
        assert len(lab.recorder.batches) == epochs

    def test_after_a_rollback_consent_does_not_cover_later_versions(self, lab, disk):
        """The file may lack a withdrawal, and with keep_consent the old consent would last."""
        options = {"keep_consent": True, "max_lifetime_epsilon": 1_000}
        lab.folder = disk / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 1, **options)
        shutil.copytree(lab.folder, disk / "backup")
        assert lab.client(agreed=False, **options).withdraw_consent()
        lab.end()
        copy_over(disk / "backup", lab.folder)
        self.live(lab, 1, agreed=False, **options)
        later = lab.survey(version=2, starts="2026-11-10", ends="2026-11-21")
        client = lab.client(later, agreed=False, **options)
        lab.live(client, 12)
        assert not client.status().surveys[0].consent
        assert [batch.version for batch in lab.recorder.batches] == [1]

    def test_a_withdrawal_invalidates_copies_in_its_own_transaction(self, lab, disk, monkeypatch):
        """If the process dies before it writes the mark, the next process writes it."""
        lab.folder = disk / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 1)
        shutil.copytree(lab.folder, disk / "backup")
        with monkeypatch.context() as patch:
            patch.setattr("hushtally.client_sdk.state.file.State.mark", lambda _: None)
            assert lab.client(agreed=False).withdraw_consent()
            assert mark_is_due(lab.path)
            lab.end()
        self.live(lab, 1, agreed=False)
        copy_over(disk / "backup", lab.folder)
        client = lab.client(agreed=False)
        lab.live(client, 3)
        assert lab.silence(client) == Silence.ROLLED_BACK
        assert len(lab.recorder.batches) == 1

    def test_a_withdrawal_succeeds_if_the_mark_cannot_be_written(self, lived, monkeypatch):
        client = lived.client()

        def fail(*_):
            raise PermissionError

        monkeypatch.setattr("hushtally.client_sdk.state.rollback.RollbackGuard._create", fail)
        assert client.withdraw_consent()
        assert lived.rows("SELECT granted FROM consents") == [(0,)]
        assert client.status().surveys[0].withdrew

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_a_backup_put_back_with_its_mark(self, lived, put_back):
        """It is unknown what was spent since, so the whole reserved epsilon counts."""
        put_back(self.backup, lived.folder)
        found = self.live_restored(lived)
        assert (found.silent, found.spent, found.budget) == (Silence.ROLLED_BACK, 2.0, 20.0)
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_a_backup_put_back_beside_the_current_mark(self, lived, put_back):
        (self.backup / "state.db.mark").unlink()
        put_back(self.backup, lived.folder)
        assert self.live_restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    @pytest.mark.parametrize("closed", [False, True])
    def test_a_backup_from_between_an_answer_and_its_mark(self, lived, put_back, closed):
        """Marks are written at most once a second, so most closed files of a kiosk are in this state."""
        self.answer_without_mark(lived)
        if closed:
            lived.end()
        shutil.rmtree(self.backup)
        shutil.copytree(lived.folder, self.backup)
        lived.clock.advance(days=1)
        self.live(lived, 2)
        for _ in range(2):
            lived.clock.advance(days=-2)
            put_back(self.backup, lived.folder)
            assert self.live(lived, 2).silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_a_backup_without_the_log_that_confirms_the_mark(self, lived):
        """Without the log, the next mark is still pending in the file. Another file has replaced it since."""
        self.answer_without_mark(lived)
        state = lived.clients[-1]._device._state
        with state.transaction() as connection:
            state._rollback_guard.prepare(connection)
        with closing(sqlite3.connect(lived.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with state.fast_transaction() as connection:
            state._rollback_guard.publish(connection)
        shutil.rmtree(self.backup)
        self.backup.mkdir()
        for name in ("state.db", "state.db.mark"):
            shutil.copy2(lived.folder / name, self.backup)
        assert mark_is_due(self.backup / "state.db")
        lived.clock.advance(days=1)
        lived.live(lived.clients[-1], 2)
        lived.end()
        lived.clock.advance(days=-2)
        copy_over(self.backup, lived.folder)
        assert self.live(lived, 2).silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    @pytest.mark.parametrize("step", ["_inode", "_create", "publish", "_confirm"])
    @pytest.mark.parametrize("later", [False, True], ids=["before", "after"])
    def test_a_process_that_dies_while_it_replaces_the_mark(self, lived, monkeypatch, step, later):
        """Right before or right after a step. The device continues: the old mark or the new one fits."""
        client = self.answer_without_mark(lived)
        owner = "" if step == "_inode" else "RollbackGuard."
        name = f"hushtally.client_sdk.state.rollback.{owner}{step}"
        original = pkgutil.resolve_name(name)

        def die(*arguments):
            if later:
                original(*arguments)
            raise SystemError

        with monkeypatch.context() as patch:
            patch.setattr(name, die)
            with pytest.raises(SystemError):
                client._device._state.mark()
        lived.end()
        assert self.live(lived, 3).silent is None
        lived.assert_answered_once()
        assert sorted(path.name for path in lived.folder.iterdir()) == ["state.db", "state.db.mark"]

    def test_a_power_failure_that_undoes_the_replacement_of_the_mark(self, lived):
        """The folder has both files again, as before. The older one was kept here by another link."""
        mark, new, kept = (lived.folder / name for name in ("state.db.mark", "state.db.mark.new", "kept"))
        kept.hardlink_to(mark)
        self.live(lived, 1)
        mark.rename(new)
        kept.rename(mark)
        assert self.live(lived, 2).silent is None
        lived.assert_answered_once()

    def test_processes_that_replace_the_mark_at_the_same_time(self, lived):
        """One prepares another file between the two steps of the other. Whichever is published covers both."""
        state = self.answer_without_mark(lived)._device._state
        guard = state._rollback_guard
        for _ in range(2):
            with state.transaction() as connection:
                guard.require_mark(connection)
                guard.prepare(connection)
        for _ in range(2):
            with state.transaction() as connection:
                guard.publish(connection)
        assert not mark_is_due(lived.path)
        lived.end()
        assert self.live(lived, 3).silent is None

    def test_a_process_that_dies_while_another_replaces_the_mark(self, lived):
        """The file that was prepared is gone. The call fails, nothing is sent, and the next call prepares it again."""
        state = self.answer_without_mark(lived)._device._state
        guard = state._rollback_guard
        with state.transaction() as connection:
            guard.prepare(connection)
        guard._create(bytes(16))  # by the process that dies before its transaction ends
        message = "^the mark file could not be replaced, because .*mark.new was changed; try again$"
        with pytest.raises(StateError, match=message), state.transaction() as connection:
            guard.publish(connection)
        assert mark_is_due(lived.path)
        state.mark()
        assert not mark_is_due(lived.path)
        lived.end()
        assert self.live(lived, 3).silent is None

    def test_a_backup_put_back_under_a_client_that_is_about_to_write_the_mark(self, lived):
        """That mark would make the backup look like the current file."""
        self.answer_without_mark(lived)
        shutil.rmtree(self.backup)
        shutil.copytree(lived.folder, self.backup)
        lived.clock.advance(days=1)
        self.live(lived, 2)
        lived.clock.advance(days=-2)
        client = lived.client()
        copy_over(self.backup, lived.folder)
        client.flush()
        lived.live(client, 2)
        lived.assert_answered_once()
        assert lived.silence(client) == Silence.ROLLED_BACK

    def test_a_backup_put_back_under_a_running_client(self, lived):
        """The client detects it with the next answer at the latest."""
        client = lived.client()
        client.tick()
        lived.close()
        client = lived.client()
        copy_over(self.backup, lived.folder)
        lived.live(client, 3)
        assert len(lived.recorder.batches) in (
            3,
            4,
        )  # an answer that was made before may be lost with the replaced file
        assert client.status().surveys[0].silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_a_copy_is_silent_and_the_original_continues(self, lived):
        original = lived.folder
        lived.folder = original.with_name("copy")
        shutil.copytree(original, lived.folder)
        lived.path = lived.folder / "state.db"
        assert self.live_restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3
        lived.clock.advance(days=-3)
        lived.folder, lived.path = original, original / "state.db"
        assert self.live_restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_copy_of_a_file_whose_process_died_before_the_mark(self, lived, monkeypatch):
        """The mark may then be out of date. That it is another file is still detected."""
        with monkeypatch.context() as patch:
            patch.setattr("hushtally.client_sdk.state.file.State.mark", lambda self: None)
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
        assert lived.silence(client) == Silence.ROLLED_BACK
        lived.end()
        lived.folder, lived.path = original, original / "state.db"
        client = lived.client()
        client.tick()
        assert lived.silence(client) is None
        lived.assert_answered_once()

    @pytest.mark.parametrize("mark", [None, b"", b"nonsense", b"%020d" % 1, b"%016d" % 1])
    def test_a_mark_that_is_missing_or_was_changed(self, lived, mark):
        path = lived.folder / "state.db.mark"
        path.unlink()
        if mark is not None:
            path.write_bytes(mark)
        assert self.live_restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
    def test_a_mark_that_cannot_be_read_now(self, lived, monkeypatch, code):
        """For example at the limit of open files: the device answers once the mark can be read, and loses nothing."""
        client = lived.client()

        def fail(path, flags, *options):
            if flags == os.O_RDONLY:
                raise OSError(code, "canary")
            return open_(path, flags, *options)  # the mark may be written a moment later

        open_ = os.open
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fail)
            client.tick()
        kind = type(OSError(code, "")).__name__
        assert client.status().silent == f"the last try failed: {os.strerror(code)}"
        assert [(fault.during, fault.kind) for fault in lived.faults] == [("tick", kind)]
        lived.live(client, 3)
        assert client.status().silent is lived.silence(client) is None
        assert len(lived.recorder.batches) == 6
        lived.assert_answered_once()

    def test_every_client_logs_a_rollback_once_and_what_to_do(self, lived, caplog):
        """An app that expects no problem does not read the status."""
        copy_over(self.backup, lived.folder)
        message = (
            f"the state file {lived.path} is not the one last written here: it was copied, restored or replaced, or its"
            " mark file was replaced or is missing. It is unknown what this device has answered, so the surveys that"
            " run now stay silent on it. Surveys that start later are answered. To start again as a new device without"
            " consent, delete the state file and its mark file"
        )
        lived.live(lived.client(), 2)
        assert [(line.levelname, line.message) for line in caplog.records] == [("ERROR", message)]
        lived.end()
        lived.live(lived.client(agreed=False))
        assert caplog.messages == [message, message]
        lived.clients[-1].withdraw_consent()
        lived.end()
        lived.live(lived.client(agreed=False))
        assert len(caplog.messages) == 2  # after a withdrawal the device is silent anyway

    def test_a_running_client_logs_a_rollback_too(self, lived, caplog):
        client = lived.client()
        client.tick()
        copy_over(self.backup, lived.folder)
        lived.live(client, 3)
        assert [line.message[:40] for line in caplog.records if line.levelname == "ERROR"] == [
            f"the state file {lived.path}"[:40]
        ]

    def test_a_deleted_file_whose_mark_is_still_there(self, lived):
        lived.path.unlink()
        assert self.live_restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3

    def test_a_device_whose_file_and_mark_are_deleted_is_new(self, lived):
        """This is documented: deleting the app's state resets its ledger."""
        lived.path.unlink()
        (lived.folder / "state.db.mark").unlink()
        found = self.live_restored(lived)
        assert (found.silent, found.spent) == (None, 3.0)

    def test_a_backup_from_before_the_enrollment(self, lab):
        """The backup has no schedule. It must not draw one for a survey that was answered; a later one is fine."""
        client = lab.client(agreed=False)
        client.close()
        lab.end()
        backup = lab.folder.parent / f"{lab.folder.name}-backup"
        shutil.copytree(lab.folder, backup)
        try:
            self.live(lab, 3)
            lab.clock.advance(hours=-1)
            copy_over(backup, lab.folder)
            found = self.live(lab, 3)
            assert (found.silent, found.spent, found.budget) == (Silence.ROLLED_BACK, 0.0, 20.0)
            assert len(lab.recorder.batches) == 3
            later = lab.survey(id="later", starts="2026-11-07", ends="2026-11-10")
            assert self.live(lab, 6, later, max_lifetime_epsilon=23).silent is not None
            assert self.live(lab, 0, later, max_lifetime_epsilon=24).silent is None or lab.clock().day > 10
        finally:
            shutil.rmtree(backup)

    def test_a_survey_that_starts_after_a_rollback_is_answered(self, lived):
        """Under a ceiling, the earlier survey counts with its whole reserved epsilon."""
        copy_over(self.backup, lived.folder)
        self.live_restored(lived)
        later = lived.survey(id="later", starts="2026-11-09", ends="2026-11-12")
        assert self.live(lived, 2, later, max_lifetime_epsilon=23).silent == Silence.OVER_CEILING
        found = self.live(lived, 2, later, max_lifetime_epsilon=24)
        assert (found.silent, found.budget) == (None, 4.0)
        assert [batch.survey for batch in lived.recorder.batches[3:]] == ["later"] * 2

    def test_a_restored_file_resends_the_same_bytes(self, lab):
        """A batch that was delivered after the backup is sent again under its own id, and is counted once."""
        client = lab.client()
        client.tick()
        lab.end()
        backup = lab.folder.parent / f"{lab.folder.name}-backup"
        shutil.copytree(lab.folder, backup)
        try:
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
