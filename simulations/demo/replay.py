"""The replay of a purchase log: every customer is a device, alone in its own file or one of many in a gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from hushtally.client_sdk.client import Client
from hushtally.client_sdk.gateway import Gateway
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

    The first SEPARATE_FILES devices have their own state files in `folder`; a gateway has all others in one file.
    """
    shift = shift_to(today)

    def replay_one(index: int) -> bool:
        delivered = replay_customer(customers[index], survey, url, folder / f"device-{index}.db", shift)
        progress()
        return delivered

    pool = ThreadPoolExecutor(THREADS)
    try:
        delivered = sum(pool.map(replay_one, range(min(SEPARATE_FILES, len(customers)))))
    finally:
        pool.shutdown(cancel_futures=True)
    return delivered + replay_gateway(customers[SEPARATE_FILES:], survey, url, folder / "devices.db", shift, progress)


def replay_gateway(
    customers: Sequence[Customer],
    survey: Survey,
    url: str,
    state: Path,
    shift: timedelta,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Run all these devices in one gateway, day by day; return how many reports the collector accepted."""
    purchases = sorted((day, index, usd) for index, one in enumerate(customers) for day, usd in one.purchases)
    clock = ScriptedClock(_noon(LOG_ENDS + shift))
    with Gateway(survey, collector=url, state=state, clock=clock) as gateway:
        for day, index, usd in purchases:
            customer = customers[index]
            clock.now = _noon(day + shift)
            device = gateway.device(customer.id, {"acquired": customer.acquired})
            if day == customer.purchases[0][0]:
                device.grant_consent()
            device.record("purchase", usd=usd)
            if day == customer.purchases[-1][0]:
                progress()
        clock.now = _noon(LOG_ENDS + shift)
        gateway.tick()
        clock.now = _noon(survey.epoch.next(LOG_ENDS + shift))
        gateway.flush(timeout=SEND_SECONDS)
        return gateway.counters().get("delivered", 0)


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
