"""Lives full of backups, taken and put back at any moment: no device answers a question of an epoch twice.

Several devices tick within a second, as in a kiosk, so that most answers are not marked when they are made.
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


def over(source, target):
    """The contents put back in place, as cp does."""
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)


def anew(source, target):
    """The files replaced, as tar does; the file system may well use the same inodes again."""
    for path in source.iterdir():
        (target / path.name).unlink(missing_ok=True)
        shutil.copy2(path, target / path.name)


def file_alone(source, target):
    """The mark left as it is."""
    for path in source.iterdir():
        if not path.name.endswith(".mark"):
            shutil.copyfile(path, target / path.name)


def mark_alone(source, target):
    """The file left as it is."""
    shutil.copyfile(source / "state.db.mark", target / "state.db.mark")


class Kiosk:
    """Several devices in one state file, in one process after the other."""

    def __init__(self, lab, source, place):
        self.lab = lab
        self.source = source
        self.survey = lab.survey(memory=source.choice(["fresh", "permanent"]), every=source.choice([1, 1, 2]))
        self.backups = place / "backups"
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
        """The end of the process."""
        self.lab.end()
        self.open.clear()

    def die(self):
        """The same, but nothing is closed: what was in memory is lost."""
        for client in self.open.values():
            client._device.journal.clear()
        self.lab.clients.clear()
        self.end()

    def back_up(self):
        if self.lab.path.exists():
            shutil.copytree(self.lab.folder, self.backups / str(time.monotonic_ns()))

    def restore(self):
        kept = sorted(self.backups.iterdir())
        if not kept:
            return
        self.end()
        time.sleep(0.02)  # file systems keep time in ticks of some milliseconds
        self.source.choice([over, over, anew, anew, file_alone, mark_alone])(self.source.choice(kept), self.lab.folder)
        self.lab.clock.advance(days=-self.source.choice([0, 0, 1, 2]))
        self.restored += 1


def live(kiosk):
    actions = [kiosk.tick] * 14 + [kiosk.record] * 3 + [kiosk.pass_time] * 8
    actions += [kiosk.close_one] * 2 + [kiosk.end, kiosk.die] + [kiosk.back_up] * 4 + [kiosk.restore]
    for _ in range(STEPS):
        kiosk.source.choice(actions)()


def answers(recorder):
    """What left a device by question and epoch: the id, which a retry repeats, and the symbol."""
    found = defaultdict(set)
    for batch in recorder.batches:
        for report in batch.reports:
            found[report.question, report.epoch].add((batch.id, report.symbol))
    return found


def lives(lab, tmp_path, seeds):
    silenced = restored = answered = 0
    for seed in seeds:
        place = tmp_path / str(seed)
        lab.folder = place / "device"
        lab.folder.mkdir(parents=True)
        lab.path = lab.folder / "state.db"
        lab.clock.now = lab.clock.now.replace(month=11, day=2, hour=0)
        kiosk = Kiosk(lab, random.Random(seed), place)
        live(kiosk)
        kiosk.lab.clock.advance(days=1)
        silenced += lab.silence(kiosk.client()) == Silence.ROLLED_BACK
        kiosk.end()
        for recorder in kiosk.received.values():
            found = answers(recorder)
            assert all(len(different) == 1 for different in found.values()), (seed, found)
            answered += len(found)
        restored += kiosk.restored
        shutil.rmtree(place)
    return silenced, restored, answered


def test_no_answer_is_given_twice_whatever_is_put_back(lab, tmp_path):
    silenced, restored, answered = lives(lab, tmp_path, range(40))
    print(silenced, restored, answered)
    assert lab.faults == []
    assert 10 < silenced < 40  # else little was noticed, or all that lived
    assert restored > 30
    assert answered > 150


@pytest.mark.slow
def test_nor_in_five_hundred_lives(lab, tmp_path):
    lives(lab, tmp_path, range(1_000, 1_500))
