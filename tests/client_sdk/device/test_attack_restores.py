"""Backups that are taken and put back at random moments: no device answers a question of an epoch twice.

Several devices tick within a second, as in a kiosk, so that most answers have no mark when they are made.
"""

import random
import shutil
import time
from collections import defaultdict

import pytest

from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.testing import Recorder

DEVICES = ("anna", "bert", "cleo")
STEPS = 60


def overwrite(source, target):
    """Overwrite the files, as cp does."""
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)


def replace(source, target):
    """Replace the files, as tar does; the file system may reuse their inodes."""
    for path in source.iterdir():
        (target / path.name).unlink(missing_ok=True)
        shutil.copy2(path, target / path.name)


def overwrite_file(source, target):
    """Overwrite the state file, but not the mark."""
    for path in source.iterdir():
        if not path.name.endswith(".mark"):
            shutil.copyfile(path, target / path.name)


def overwrite_mark(source, target):
    """Overwrite the mark, but not the state file."""
    shutil.copyfile(source / "state.db.mark", target / "state.db.mark")


class Kiosk:
    """Several devices in one state file, in one process after another."""

    def __init__(self, lab, source, folder):
        self.lab = lab
        self.source = source
        self.survey = lab.survey(memory=source.choice(["fresh", "permanent"]), every=source.choice([1, 1, 2]))
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.received = {name: Recorder() for name in DEVICES}
        self.open = {}
        self.restored = 0

    def client(self):
        name = self.source.choice(DEVICES)
        if name not in self.open:
            self.open[name] = self.lab.client(self.survey, device=name, transport=self.received[name])
        return self.open[name]

    def record(self):
        self.client().record("purchase", amount=1, category=self.source.choice(["c1", "c2", "c3"]))

    def tick(self):
        for _ in range(self.source.choice([1, 3])):
            self.client().tick()

    def pass_time(self):
        self.lab.clock.advance(seconds=self.source.choice([3_600, 40_000, 86_400]))

    def close_one(self):
        name = self.source.choice(DEVICES)
        if name in self.open:
            self.open.pop(name).close()

    def end(self):
        """End the process."""
        self.lab.end()
        self.open.clear()

    def die(self):
        """Kill the process: events in memory are lost."""
        for client in self.open.values():
            client._device.journal.clear()
        self.lab.clients.clear()
        self.end()

    def back_up(self):
        if self.lab.path.exists():
            shutil.copytree(self.lab.folder, self.backups / str(time.monotonic_ns()))

    def restore(self):
        backups = sorted(self.backups.iterdir())
        if not backups:
            return
        self.end()
        self.source.choice([overwrite, overwrite, replace, replace, overwrite_file, overwrite_mark])(
            self.source.choice(backups), self.lab.folder
        )
        self.lab.clock.advance(days=-self.source.choice([0, 0, 1, 2]))
        self.restored += 1


def run(kiosk):
    actions = [kiosk.tick] * 14 + [kiosk.record] * 3 + [kiosk.pass_time] * 8
    actions += [kiosk.close_one] * 2 + [kiosk.end, kiosk.die] + [kiosk.back_up] * 4 + [kiosk.restore]
    for _ in range(STEPS):
        kiosk.source.choice(actions)()


def answers(recorder):
    """Return what a device sent by question and epoch: batch ids, which a retry repeats, and symbols."""
    found = defaultdict(set)
    for batch in recorder.batches:
        for report in batch.reports:
            found[report.question, report.epoch].add((batch.id, report.symbol))
    return found


def run_many(lab, disk, seeds):
    silenced = restored = answered = 0
    for seed in seeds:
        folder = disk / str(seed)
        lab.folder = folder / "device"
        lab.folder.mkdir(parents=True)
        lab.path = lab.folder / "state.db"
        lab.clock.now = lab.clock.now.replace(month=11, day=2, hour=0)
        kiosk = Kiosk(lab, random.Random(seed), folder)
        run(kiosk)
        kiosk.lab.clock.advance(days=1)
        silenced += lab.silence(kiosk.client()) == Silence.ROLLED_BACK
        kiosk.end()
        for recorder in kiosk.received.values():
            found = answers(recorder)
            assert all(len(different) == 1 for different in found.values()), (seed, found)
            answered += len(found)
        restored += kiosk.restored
        shutil.rmtree(folder)
    return silenced, restored, answered


@pytest.mark.slow
def test_no_question_is_answered_twice_whatever_is_put_back(lab, disk):
    silenced, restored, answered = run_many(lab, disk, range(20))
    assert lab.faults == []
    assert 5 < silenced < 20  # some rollbacks are detected, and some kiosks had none
    assert restored > 15
    assert answered > 75


@pytest.mark.slow
def test_no_question_is_answered_twice_in_five_hundred_kiosks(lab, disk):
    run_many(lab, disk, range(1_000, 1_500))
