"""Epochs: days, ISO weeks and months in UTC."""

from __future__ import annotations

import re
from datetime import date, timedelta

DAY = timedelta(days=1)
LABELS = {"day": r"\d{4}-\d{2}-\d{2}", "week": r"\d{4}-W\d{2}", "month": r"\d{4}-\d{2}"}


def label(epoch: str, day: date) -> str:
    """The label of the epoch that the day belongs to."""
    if epoch == "day":
        return day.isoformat()
    if epoch == "week":
        thursday = day + (3 - day.weekday()) * DAY
        first = date(thursday.year, 1, 1)
        return f"{thursday.year:04}-W{(thursday - first).days // 7 + 1:02}"
    return f"{day.year:04}-{day.month:02}"


def first_day(epoch: str, label_: str) -> date:
    """The first day of an epoch. Raises ValueError if it is not a label of such an epoch."""
    if re.fullmatch(LABELS[epoch], label_, re.ASCII) is None:
        raise ValueError(f"{label_!r} is not the label of a {epoch}")
    year = int(label_[:4])
    if epoch == "day":
        return date(year, int(label_[5:7]), int(label_[8:]))
    if epoch == "month":
        return date(year, int(label_[5:]), 1)
    thursday = date(year, 1, 4) + (3 - date(year, 1, 4).weekday()) * DAY + 7 * (int(label_[6:]) - 1) * DAY
    if label("week", thursday) != label_:
        raise ValueError(f"{label_!r} is not the label of a {epoch}")
    return thursday - 3 * DAY


def last_day(epoch: str, label_: str) -> date:
    day = first_day(epoch, label_)
    while label(epoch, day + DAY) == label_:
        day += DAY
    return day


def closing(epoch: str, label_: str, retention_days: int) -> tuple[date, date]:
    """The last day on which reports are accepted, and the day on which counts are erased."""
    following = last_day(epoch, label_) + DAY
    accepted_until = last_day(epoch, label(epoch, following))
    return accepted_until, accepted_until + (retention_days + 1) * DAY


def between(epoch: str, starts: date, ends: date) -> list[str]:
    """The labels of the epochs from the first day to the last, in order."""
    days = ((starts + number * DAY) for number in range((ends - starts).days + 1))
    return list(dict.fromkeys(label(epoch, day) for day in days))
