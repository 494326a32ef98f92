"""The demonstration: every customer of a real purchase log is a device, and the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path

from hushtally.aggregator.database import Database
from hushtally.aggregator.summary import Row, summarize
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.simulations.demo.purchases import LOG_ENDS, Customer, shift_to, true_shares

OWN_FILES = 200  # devices of the demonstration that have a state file to themselves
THREADS = 6


@dataclass(frozen=True)
class Line:
    """One published share beside its truth."""

    row: Row
    truth: float

    @property
    def covers(self) -> bool:
        """Whether the interval holds the truth."""
        low, high = self.row.low, self.row.high
        return low is not None and high is not None and low <= self.truth <= high


def write_survey(path: Path, epsilon: float, today: date) -> Survey:
    """Writes the demonstration's survey, which begins in the week in which the moved log ends, and reads it back."""
    starts = EpochLength.WEEK.start(LOG_ENDS + shift_to(today))
    text = files("hushtally.simulations.demo").joinpath("data/cdnow.toml").read_text(encoding="utf-8")
    path.write_text(text.format(starts=starts, ends=starts + timedelta(days=13), epsilon=epsilon), encoding="utf-8")
    return Survey.load(path)


def replay(
    customers: Sequence[Customer],
    survey: Survey,
    url: str,
    folder: Path,
    today: date,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Lets every customer's device record its purchases at their dates and answer; how many were delivered.

    The first OWN_FILES devices have state files of their own in `folder`, all others share one.
    """

    def live(index: int) -> bool:
        state = folder / (f"device-{index}.db" if index < OWN_FILES else "devices.db")
        delivered = live_through(customers[index], survey, url, state, shift_to(today))
        progress()
        return delivered

    pool = ThreadPoolExecutor(THREADS)
    try:
        return sum(pool.map(live, range(len(customers))))
    finally:
        pool.shutdown(cancel_futures=True)


def live_through(customer: Customer, survey: Survey, url: str, state: Path, shift: timedelta) -> bool:
    """One device's life: agrees, records each purchase on its day, answers on the last of them, sends by Sunday."""
    clock = ScriptedClock(_noon(customer.purchases[0][0] + shift))
    cohort = {"acquired": customer.acquired}
    with Client(survey, collector=url, state=state, cohort=cohort, device=customer.id, clock=clock) as client:
        client.grant_consent()
        for day, usd in customer.purchases:
            clock.now = _noon(day + shift)
            client.record("purchase", usd=usd)
        clock.now = _noon(LOG_ENDS + shift)
        client.tick()
        clock.now = _noon(survey.epoch.next(LOG_ENDS + shift))
        return client.flush(timeout=30.0)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def compare(survey: Survey, database: Path, customers: Sequence[Customer]) -> list[Line]:
    """Every share beside its truth: question by question, of all customers, then by the month of the first purchase."""
    with Database.open(database) as opened:
        tallies = opened.tallies(survey)
    groups = {month: [one for one in customers if one.acquired == month] for month in survey.cohorts["acquired"]}
    lines = []
    for question in survey.asked:
        asked = [question.id]
        for row in summarize(survey, tallies, questions=asked) + summarize(
            survey, tallies, by=["acquired"], questions=asked
        ):
            truth = true_shares(groups.get(row.cohort.get("acquired", ""), customers), question.id)
            lines.append(Line(row, truth.get(row.segment, 0.0)))
    return lines
