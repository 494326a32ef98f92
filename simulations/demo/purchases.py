"""The purchase log of the demo, and the true segments of its customers."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from importlib.resources import files

LOG_ENDS = date(1998, 6, 30)
SECOND_HALF = date(1997, 10, 1)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Customer:
    """One customer of the log. purchases: the day and the dollars of each purchase in order, one purchase per day."""

    id: str
    purchases: tuple[tuple[date, float], ...]

    @cached_property
    def acquired(self) -> str:
        """The month of the first purchase, used as the date of registration."""
        return f"{self.purchases[0][0]:%Y-%m}"

    @cached_property
    def segments(self) -> dict[str, str]:
        """The true segment by question, calculated from the log without the survey's rules."""
        early = sum(day < SECOND_HALF for day, _ in self.purchases)
        late = len(self.purchases) - early
        idle = (LOG_ENDS - self.purchases[-1][0]).days
        return {
            "frequency": _segment(len(self.purchases), _TIMES),
            "recency": _segment(idle, _IDLE),
            "spend": _segment(sum(round(100 * usd) for _, usd in self.purchases), _CENTS),
            "early_frequency_x_came_back": f"{_segment(early, _TIMES)} & {'yes' if late else 'no'}",
        }


_TIMES = {1: "1", 2: "2", 4: "3-4", 9: "5-9", None: "10-or-more"}
_IDLE = {30: "0-30-days", 90: "31-90-days", 180: "91-180-days", 365: "181-365-days", None: "longer-ago"}
_CENTS = {0: "nothing", 2_000: "to-20", 5_000: "to-50", 10_000: "to-100", 25_000: "to-250", None: "above-250"}


def _segment(number: int, names: dict[int | None, str]) -> str:
    """Return the name of the first segment whose upper limit is at least `number`. None means no limit."""
    return next(name for limit, name in names.items() if limit is None or number <= limit)


def load_customers(number: int | None = None, seed: int = 0) -> list[Customer]:
    """Return the customers of the log in the order of their ids: all, or a random sample of the given number."""
    packed = files("hushtally.simulations.demo").joinpath("data/cdnow_transactions.csv.gz").read_bytes()
    days: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for row in csv.DictReader(io.StringIO(gzip.decompress(packed).decode())):
        days[row["customer_id"]][date.fromisoformat(row["date"])] += float(row["usd"])
    customers = [Customer(id, tuple(sorted(spent.items()))) for id, spent in sorted(days.items())]
    if number is not None and number < len(customers):
        customers = sorted(random.Random(seed).sample(customers, number), key=lambda customer: customer.id)
    return customers


def shift_to(today: date) -> timedelta:
    """Return the whole weeks by which to move the log, so that it ends one to seven days before today."""
    return (today - timedelta(days=1) - LOG_ENDS) // WEEK * WEEK


def true_shares(customers: Iterable[Customer], question: str) -> dict[str, float]:
    """Return the exact share of the customers in every segment that is not empty."""
    found = Counter(customer.segments[question] for customer in customers)
    total = found.total()
    return {segment: count / total for segment, count in found.items()}
