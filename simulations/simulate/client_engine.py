"""The client engine, which runs real clients and a real collector for up to 200,000 devices."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.collector.app import create_app
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.preset_answers import preset_question, preset_signal
from hushtally.simulations.requirements import require_clients_enabled
from hushtally.simulations.simulate.client_devices import ClientDevices, InProcessTransport, signal_name
from hushtally.simulations.simulate.epoch_counts import EpochCounts
from hushtally.simulations.simulate.scenario import Scenario, epoch_labels

MAX_DEVICES = 200_000
RAM_DISK = Path("/dev/shm")
RAM_DISK_RESERVE, BYTES_PER_DEVICE = 10**8, 10**5


def run(
    survey: Survey, scenario: Scenario, seed: tuple[int, ...], progress: Callable[[], object] = lambda: None
) -> dict[tuple[str, int], EpochCounts]:
    """Return the counts of every question in every epoch, by question id and step. Equal seeds give equal results.

    Every device is a Client with its own ledger, memory and outbox. All clients share one state file. Their randomness
    follows from the seed. Reports go through the collector's web application into its database. The aggregator's own
    code reads the counts. progress: called `progress_steps` times. Raises ArgumentError for too many devices, and
    SimulationError if a client or the collector fails or if a report is not counted.
    """
    if scenario.devices > MAX_DEVICES:
        raise ArgumentError(
            "devices", f"must be at most {MAX_DEVICES:,} with the client engine, got {scenario.devices:,}"
        )
    require_clients_enabled()
    clock = ScriptedClock(survey.starts.isoformat())
    preset = _preset_survey(survey)
    with tempfile.TemporaryDirectory(prefix="hushtally-simulation-", dir=_folder(scenario.devices)) as folder:
        database = Path(folder) / "hushtally.db"
        app = create_app([preset], database, clock=lambda: clock.now.date())
        try:
            transport = InProcessTransport(app.test_client())
            devices = ClientDevices(preset, scenario, seed, Path(folder) / "devices.db", clock, transport, progress)
            counts: dict[tuple[str, int], EpochCounts] = {}
            day = survey.starts
            for step, label in enumerate(epoch_labels(survey, scenario.epochs)):
                clock.now = datetime.combine(day, time(12), UTC)
                devices.answer(step)
                day = survey.epoch.next(day)
                clock.now = datetime.combine(day, time(), UTC) - timedelta(seconds=1)
                devices.send()
                counts |= {(id, step): one for id, one in _counts(preset, database, label, clock.now.date()).items()}
        finally:
            app.extensions["hushtally"].close()
    _require_all_counted(devices, transport, sum(one.n for one in counts.values()))
    return counts


def progress_steps(scenario: Scenario) -> int:
    """Return the number of times that `run` calls progress: once per device, and twice per device and epoch."""
    return scenario.devices * (1 + 2 * scenario.epochs)


def _preset_survey(survey: Survey) -> Survey:
    """Return a survey with preset answers, and with the same mechanisms, schedule and memory."""
    questions = tuple(preset_question(one, signal_name(number)) for number, one in enumerate(survey.asked))
    signals = {signal_name(number): preset_signal(signal_name(number)) for number in range(len(questions))}
    return replace(survey, questions=questions, signals=signals)


def _require_all_counted(devices: ClientDevices, transport: InProcessTransport, counted: int) -> None:
    """Raise SimulationError if a client failed, a batch was refused, or a report was not counted exactly once."""
    if devices.faults or transport.refused or transport.accepted != counted:
        faults = ", ".join(sorted(set(devices.faults))) or "none"
        raise SimulationError(
            f"the simulation failed; faults of clients: {faults}; batches refused by the collector:"
            f" {transport.refused:,}; reports accepted: {transport.accepted:,}; reports counted: {counted:,}"
        )


def _folder(devices: int) -> str | None:
    """Return a RAM disk with enough space, because the files are temporary; None for the default folder."""
    needed = RAM_DISK_RESERVE + devices * BYTES_PER_DEVICE
    if RAM_DISK.is_dir() and os.access(RAM_DISK, os.W_OK) and shutil.disk_usage(RAM_DISK).free > needed:
        return str(RAM_DISK)
    return None


def _counts(survey: Survey, database: Path, label: str, today: date) -> dict[str, EpochCounts]:
    """Return the counts of the epoch that ends today, by question id, before the collector deletes them."""
    with Database.open(database) as opened:
        tallies = opened.tallies(survey, today)
    counts = {}
    for question in survey.asked:
        tally = Tally.merge(one for cell, one in tallies.items() if (cell.question, cell.epoch) == (question.id, label))
        counts[question.id] = EpochCounts.of(question.mechanism, tally)
    return counts
