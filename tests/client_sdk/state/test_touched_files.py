"""What other programs do to a state file and its mark: a touch is harmless, another file is a rollback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hushtally.client_sdk.state.silence import Silence


def run(command, folder):
    """Run a shell command in a folder; skip the test where the program does not exist."""
    program = command.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"this machine has no {program}")
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True)


def set_times(folder):
    """Set the times that a program can set, with nanoseconds, as `cp -p` and backup agents do."""
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1_700_000_000_123_456_789))


def read_and_reset_times(folder):
    """Read every file and put its access time back, as some backup agents do: only the time of change changes."""
    for path in folder.iterdir():
        before = path.stat()
        path.read_bytes()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_mtime_ns == before.st_mtime_ns


def rewrite_mark(folder):
    """Write the same bytes into the same file."""
    mark = folder / "state.db.mark"
    mark.write_bytes(mark.read_bytes())


HARMLESS = [
    set_times,
    read_and_reset_times,
    rewrite_mark,
    "chmod -R u+rwX,g+r .",
    "chmod 600 state.db.mark",
    f"chown -R {os.getuid() if hasattr(os, 'getuid') else 0} .",
    f"chgrp -R {os.getgid() if hasattr(os, 'getgid') else 0} .",
    "touch state.db state.db.mark",
    "touch -d 2001-01-01 state.db.mark",
    "ln state.db.mark ../linked",  # as a snapshot by hard links does
    "mv state.db.mark ../away; mv ../away state.db.mark",
    "tar cf ../backup.tar .",
]
OTHER_FILES = [
    "rm state.db.mark",
    "cp -p state.db.mark ../copy; mv ../copy state.db.mark",
    "cp state.db.mark ../copy; rm state.db.mark; cp ../copy state.db.mark",  # the number of the inode may be reused
    "tar cf ../backup.tar .; tar xf ../backup.tar",
    "tar cf ../backup.tar .; rm state.db*; tar xpf ../backup.tar",
    "rsync -a ./ ../backup; touch state.db.mark; rsync -a ../backup/ ./",
    "printf 0123456789abcdef > state.db.mark",
    "printf x >> state.db.mark",
    ": > state.db.mark",
]
OLDER_FILES = [
    "cp ../backup/* .",
    "cp -p ../backup/* .",  # into the same files, with the same times
    "cp -a ../backup/. .",
    "rsync -a ../backup/ ./",
    "rsync -a --inplace ../backup/ ./",
    "rm -r state.db*; cp -a ../backup/. .",
    "mv state.db.mark ../newer; mv ../backup/* .",
    "tar cf ../backup.tar -C ../backup .; tar xpf ../backup.tar",
    "for name in ../backup/*; do cat $name > $(basename $name); done",
    "cp ../backup/state.db .",
    "cp ../backup/state.db.mark .",
]


def names(actions):
    return [action if isinstance(action, str) else action.__name__ for action in actions]


class TestOtherPrograms:
    @pytest.fixture
    def lived(self, lab, disk):
        """A device after two epochs, closed. Not in memory, where inodes are numbered differently."""
        lab.folder = disk / "device"
        lab.folder.mkdir()
        lab.path = lab.folder / "state.db"
        lab.live(lab.client(), 2)
        lab.end()
        return lab

    @pytest.mark.parametrize("action", HARMLESS, ids=names(HARMLESS))
    @pytest.mark.parametrize("running", [False, True], ids=["closed", "running"])
    def test_a_touch_is_harmless(self, lived, action, running):
        """An entry point of a container with `chown -R`, a backup agent, a hard link: the device continues."""
        client = lived.client() if running else None
        lived.clock.advance(hours=1)
        if isinstance(action, str):
            run(action, lived.folder)
        else:
            action(lived.folder)
        client = client or lived.client()
        lived.live(client, 2)
        assert lived.silence(client) is None
        assert lived.rows("SELECT rollbacks FROM file") == [(0,)]
        assert len(lived.recorder.batches) == 4
        lived.assert_answered_once()

    def test_a_device_that_is_touched_before_every_tick_answers_in_every_epoch(self, lived):
        """As in a container that starts with `chown -R` for every tick."""
        for _ in range(4):
            run(f"chown -R {os.getuid()} .; chmod -R go-w .; touch *", lived.folder)
            lived.live(lived.client())
            lived.end()
        assert len(lived.recorder.batches) == 6

    @pytest.mark.parametrize("action", OTHER_FILES)
    @pytest.mark.parametrize("running", [False, True], ids=["closed", "running"])
    def test_another_mark_is_a_rollback(self, lived, action, running):
        """Also with the same content: another inode, another token, or none."""
        client = lived.client() if running else None
        if running and "state.db*" in action:
            pytest.skip("the state file would be lost too")
        run(action, lived.folder)
        client = client or lived.client()
        lived.live(client, 2)
        if ("tar" not in action and "rsync" not in action) or not running:  # these replace the open state file as well
            assert lived.silence(client) == Silence.ROLLED_BACK
        assert len(lived.recorder.batches) == 2

    @pytest.mark.parametrize("action", OLDER_FILES)
    def test_an_older_copy_is_a_rollback(self, lived, tmp_path, action):
        """However the files are put back: into the same files, with the same times, or as new files."""
        shutil.copytree(lived.folder, tmp_path / "backup")
        lived.live(lived.client(), 1)
        lived.end()
        lived.clock.advance(days=-1)
        run(action, lived.folder)
        client = lived.client()
        lived.live(client, 2)
        assert lived.silence(client) == Silence.ROLLED_BACK
        lived.assert_answered_once()

    def test_every_mark_is_another_file(self, lived):
        """Otherwise a copy that is written into the current mark would not be detected."""
        found = set()
        for _ in range(5):
            lived.live(lived.client())
            lived.end()
            found |= set(lived.rows("SELECT mark_inode FROM file"))
        assert len(found) == 5

    def test_a_file_system_without_generations(self, lived, monkeypatch):
        """Then the number of the inode alone is compared, also with one that was stored together with a generation."""
        number = str((lived.folder / "state.db.mark").stat().st_ino)
        assert lived.rows("SELECT mark_inode FROM file")[0][0].split(".")[0] == number

        def fail(*_):
            raise OSError

        monkeypatch.setattr("fcntl.ioctl", fail)
        lived.live(lived.client(), 1)
        lived.end()
        assert lived.rows("SELECT mark_inode FROM file") == [(str(Path(f"{lived.path}.mark").stat().st_ino),)]
        monkeypatch.undo()
        client = lived.client()
        lived.live(client, 1)
        assert lived.silence(client) is None
        assert len(lived.recorder.batches) == 4
