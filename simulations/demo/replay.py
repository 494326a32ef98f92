"""The replay of a purchase log: every customer is a device that runs the real client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from hushtally.client_sdk.client import Client
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.simulations.demo.purchases import LOG_ENDS, Customer, shift_to

SEPARATE_FILES = 200  # devices that have their own state file
THREADS = 6
SEND_SECONDS = 30.0


def replay(
    customers: Sequence[Customer],
    survey: Survey,
    url: str,
    folder: Path,
    today: date,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Record every customer's purchases on their dates, send the answers, and return how many reports arrived.

    The first SEPARATE_FILES devices have their own state files in `folder`. All other devices share one file.
    """

    def replay_one(index: int) -> bool:
        state = folder / (f"device-{index}.db" if index < SEPARATE_FILES else "devices.db")
        delivered = replay_customer(customers[index], survey, url, state, shift_to(today))
        progress()
        return delivered

    pool = ThreadPoolExecutor(THREADS)
    try:
        return sum(pool.map(replay_one, range(len(customers))))
    finally:
        pool.shutdown(cancel_futures=True)


def replay_customer(customer: Customer, survey: Survey, url: str, state: Path, shift: timedelta) -> bool:
    """Run one device: grant consent, record each purchase on its day, answer on the last day of the log, and send.

    Returns whether the collector accepted its report.
    """
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
        return client.flush(timeout=SEND_SECONDS)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
