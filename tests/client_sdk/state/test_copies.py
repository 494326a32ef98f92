"""One state file in several processes, and a state file copied or restored: no (question, epoch) is answered twice."""

import errno
import multiprocessing
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from hushtally import Client
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness


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
    lab.assert_answered_once()
    assert lab.rows("SELECT count(*) FROM ledger") == [(10,)]
    assert lab.rows("SELECT count(*) FROM events") == [(25,)]


def test_a_new_file_that_another_process_is_just_making(lab):
    """SQLite gives up at once then; the client waits its turn."""
    with closing(sqlite3.connect(lab.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.2, other.execute, ["COMMIT"])
        ending.start()
        client = lab.client()
        ending.join()
    assert client.status().silent is None
    assert lab.faults == []


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


def pending(path):
    """The token that the file is about to note."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT pending FROM file").fetchall()


def an_hour_passes(path):
    """Since the file's token was drawn; no program can set when the mark changed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE file SET drawn = drawn - 3600 * 1000000000")


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

    def answer_unmarked(self, lab):
        """An answer within the second after another device's."""
        for options in ({"device": "another", "transport": Recorder()}, {}):
            lab.client(**options).tick()
        assert pending(lab.path) != [(None,)]

    def restored(self, lab):
        found = self.live(lab, 3)
        lab.assert_answered_once()
        return found

    def test_a_life_in_several_processes_goes_on(self, lived):
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_moved_folder_goes_on(self, lived):
        lived.folder = lived.folder.rename(lived.folder.with_name("moved"))
        lived.path = lived.folder / "state.db"
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    @pytest.mark.parametrize("memory", ["fresh", "permanent"])
    @pytest.mark.parametrize("epochs", [0, 2])
    @pytest.mark.parametrize("files", ["state.db", "state.db*"], ids=["alone", "with-its-mark"])
    def test_a_file_from_before_the_withdrawal_does_not_bring_consent_back(self, lab, tmp_path, memory, epochs, files):
        """Whether or not it had answered."""
        survey = lab.survey(memory=memory)
        lab.folder = tmp_path / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, epochs, survey)
        backup = tmp_path / "backup"
        shutil.copytree(lab.folder, backup)
        time.sleep(0.02)
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

    def test_a_file_put_back_keeps_no_consent_to_a_version_that_begins_later(self, lab, tmp_path):
        """Its withdrawal is not known any more, and what was agreed to would last with keep_consent."""
        kept = {"keep_consent": True, "max_lifetime_epsilon": 1_000}
        lab.folder = tmp_path / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 1, **kept)
        shutil.copytree(lab.folder, tmp_path / "backup")
        time.sleep(0.02)
        assert lab.client(agreed=False, **kept).withdraw_consent()
        lab.end()
        copy_over(tmp_path / "backup", lab.folder)
        self.live(lab, 1, agreed=False, **kept)
        later = lab.survey(version=2, starts="2026-11-10", ends="2026-11-21")
        client = lab.client(later, agreed=False, **kept)
        lab.live(client, 12)
        assert not client.status().surveys[0].consent
        assert [batch.version for batch in lab.recorder.batches] == [1]

    def test_what_outdates_copies_is_noted_with_the_withdrawal(self, lab, tmp_path, monkeypatch):
        """A process that dies before it marks leaves that to the next one."""
        lab.folder = tmp_path / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        self.live(lab, 1)
        shutil.copytree(lab.folder, tmp_path / "backup")
        time.sleep(0.02)
        with monkeypatch.context() as patch:
            patch.setattr("hushtally.client_sdk.state.rollback.RollbackGuard.mark", lambda *_: None)
            assert lab.client(agreed=False).withdraw_consent()
            assert pending(lab.path) != [(None,)]
            lab.end()
        self.live(lab, 1, agreed=False)
        copy_over(tmp_path / "backup", lab.folder)
        client = lab.client(agreed=False)
        lab.live(client, 3)
        assert lab.silence(client) == Silence.ROLLED_BACK
        assert len(lab.recorder.batches) == 1

    def test_a_withdrawal_stands_although_the_mark_cannot_be_written(self, lived, monkeypatch):
        client = lived.client()

        def fail(*_):
            raise PermissionError

        monkeypatch.setattr("hushtally.client_sdk.state.rollback.RollbackGuard._write", fail)
        assert client.withdraw_consent()
        assert lived.rows("SELECT granted FROM consents") == [(0,)]
        assert client.status().surveys[0].withdrew

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_an_old_file_put_back_with_its_mark(self, lived, put_back):
        """What was spent since cannot be known: it counts as all that was set aside."""
        put_back(self.backup, lived.folder)
        found = self.restored(lived)
        assert (found.silent, found.spent, found.budget) == (Silence.ROLLED_BACK, 2.0, 20.0)
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    def test_an_old_file_put_back_beside_the_mark_of_today(self, lived, put_back):
        (self.backup / "state.db.mark").unlink()
        put_back(self.backup, lived.folder)
        assert self.restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("put_back", [copy_over, copy_anew])
    @pytest.mark.parametrize("closed", [False, True])
    def test_a_backup_from_right_after_an_answer_that_was_not_marked_yet(self, lived, put_back, closed):
        """Marks come once a second at most: most closed files of a kiosk are such."""
        self.answer_unmarked(lived)
        if closed:
            lived.end()
        shutil.rmtree(self.backup)
        shutil.copytree(lived.folder, self.backup)
        lived.clock.advance(days=1)
        self.live(lived, 2)
        for _ in range(2):
            lived.clock.advance(days=-2)
            time.sleep(0.02)
            put_back(self.backup, lived.folder)
            assert self.live(lived, 2).silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_a_backup_without_the_log_that_holds_the_note_of_the_mark(self, lived):
        """The file alone is about to note just this mark, for as long as its log is not emptied."""
        self.answer_unmarked(lived)
        lived.end()
        client = lived.client()
        client._device._state.mark()
        shutil.rmtree(self.backup)
        self.backup.mkdir()
        for name in ("state.db", "state.db.mark"):
            shutil.copy2(lived.folder / name, self.backup)
        an_hour_passes(self.backup / "state.db")
        assert pending(self.backup / "state.db") == [((self.backup / "state.db.mark").read_bytes(),)]
        lived.clock.advance(days=1)
        lived.live(client, 2)
        lived.end()
        lived.clock.advance(days=-2)
        copy_over(self.backup, lived.folder)
        assert self.live(lived, 2).silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_a_token_that_is_repeated_late_is_renewed_before(self, lived, monkeypatch):
        """A process that dies right after such a mark, before it is noted, is no reason to fall silent."""
        self.answer_unmarked(lived)
        an_hour_passes(lived.path)
        token = pending(lived.path)

        def die(*_):
            raise SystemError

        with monkeypatch.context() as patch:
            patch.setattr("hushtally.client_sdk.state.rollback.RollbackGuard._note", die)
            with pytest.raises(SystemError):
                lived.clients[-1]._device._state.mark()
        lived.end()
        assert pending(lived.path) == token == [((lived.folder / "state.db.mark").read_bytes(),)]
        found = self.live(lived, 3)
        assert found.silent is None
        lived.assert_answered_once()

    def test_an_old_file_is_not_renewed(self, lived):
        """Put back with the mark that repeats its token, under a running client that is about to mark."""
        self.answer_unmarked(lived)
        an_hour_passes(lived.path)
        ((token,),) = pending(lived.path)
        (lived.folder / "state.db.mark").write_bytes(token)
        lived.clients[-1]._device._state.mark()
        assert lived.silence(lived.clients[-1]) == Silence.ROLLED_BACK

    def test_a_token_that_is_repeated_soon_is_not_renewed(self, lived, monkeypatch):
        """That would cost every answer one more wait for the disk."""
        monkeypatch.delattr("hushtally.client_sdk.state.rollback.RollbackGuard.renew")
        assert self.live(lived, 3).silent is None
        assert lived.faults == []

    def test_an_old_file_put_back_under_a_running_client_that_is_about_to_mark(self, lived):
        """The mark it writes would make the old file pass for today's."""
        self.answer_unmarked(lived)
        shutil.rmtree(self.backup)
        shutil.copytree(lived.folder, self.backup)
        lived.clock.advance(days=1)
        self.live(lived, 2)
        lived.clock.advance(days=-2)
        client = lived.client()
        time.sleep(0.02)
        copy_over(self.backup, lived.folder)
        client.flush()
        lived.live(client, 2)
        lived.assert_answered_once()
        assert lived.silence(client) == Silence.ROLLED_BACK

    def test_an_old_file_put_back_under_a_running_client(self, lived):
        """It notices at its next answer at the latest."""
        client = lived.client()
        client.tick()
        lived.close()
        client = lived.client()
        copy_over(self.backup, lived.folder)
        lived.live(client, 3)
        assert len(lived.recorder.batches) in (3, 4)  # the last one was made before, and may be gone with the old file
        assert client.status().surveys[0].silent == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_a_copy_is_silent_and_the_original_goes_on(self, lived):
        original = lived.folder
        lived.folder = original.with_name("copy")
        shutil.copytree(original, lived.folder)
        lived.path = lived.folder / "state.db"
        assert self.restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3
        lived.clock.advance(days=-3)
        lived.folder, lived.path = original, original / "state.db"
        assert self.restored(lived).silent is None
        assert len(lived.recorder.batches) == 6

    def test_a_copy_of_what_a_process_left_that_died_before_the_mark(self, lived, monkeypatch):
        """The mark may then be behind, or have changed unnoticed; that it is another file shows all the same."""
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

    @pytest.mark.parametrize("mark", [None, b"", b"nonsense", b"%020d" % 1])
    def test_a_mark_that_is_missing_or_was_tampered_with(self, lived, mark):
        place = lived.folder / "state.db.mark"
        place.unlink()
        if mark is not None:
            place.write_bytes(mark)
        assert self.restored(lived).silent == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 3

    @pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
    def test_a_mark_that_cannot_be_read_just_now(self, lived, monkeypatch, code):
        """An app at its limit of open files: nothing is answered until the mark can be read, and nothing is lost."""
        client = lived.client()

        def fail(place, flags, *options):
            if flags == os.O_RDONLY:
                raise OSError(code, "canary")
            return open_(place, flags, *options)  # it may be written again a moment later

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

    def test_every_client_says_once_that_it_is_silent_and_what_helps(self, lived, caplog):
        """Nobody looks at a status who thinks that all is well."""
        copy_over(self.backup, lived.folder)
        said = (
            f"the state file {lived.path} was copied, restored or replaced, or the mark beside it was touched: the"
            " surveys that run stay silent on this device, as it is not known what it answered; those that begin later"
            " are answered. Nothing helps but to delete the file and its mark, which makes this a new device without"
            " consent"
        )
        lived.live(lived.client(), 2)
        assert [(line.levelname, line.message) for line in caplog.records] == [("ERROR", said)]
        lived.end()
        lived.live(lived.client(agreed=False))
        assert caplog.messages == [said, said]
        lived.clients[-1].withdraw_consent()
        lived.end()
        lived.live(lived.client(agreed=False))
        assert len(caplog.messages) == 2  # who withdrew is silent anyway

    def test_a_running_client_says_so_too(self, lived, caplog):
        client = lived.client()
        client.tick()
        copy_over(self.backup, lived.folder)
        lived.live(client, 3)
        assert [line.message[:40] for line in caplog.records if line.levelname == "ERROR"] == [
            f"the state file {lived.path}"[:40]
        ]

    def test_a_deleted_file_whose_mark_is_left(self, lived):
        lived.path.unlink()
        assert self.restored(lived).silent == Silence.ROLLED_BACK
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
            assert (found.silent, found.spent, found.budget) == (Silence.ROLLED_BACK, 0.0, 20.0)
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
        assert self.live(lived, 2, later, max_lifetime_epsilon=23).silent == Silence.OVER_CEILING
        found = self.live(lived, 2, later, max_lifetime_epsilon=24)
        assert (found.silent, found.budget) == (None, 4.0)
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
