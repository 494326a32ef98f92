"""Epochs: the days, weeks or months (UTC) that answers belong to."""

from __future__ import annotations

import re
from datetime import date, timedelta
from enum import StrEnum


class EpochLength(StrEnum):
    """The length of an epoch. Every epoch has a label, such as 2026-11-02, 2026-W45 (ISO 8601) or 2026-11."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def label(self, day: date) -> str:
        """The label of the epoch that contains `day`."""
        if self is EpochLength.DAY:
            return day.isoformat()
        if self is EpochLength.WEEK:
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        return f"{day.year:04}-{day.month:02}"

    def first_day(self, label: str) -> date:
        """The first day of the epoch with this label. Raises ValueError for a label of another length."""
        if not _LABEL[self].fullmatch(label):
            raise ValueError(f"the label of a {self} must be like {_EXAMPLE[self]}, got {label!r}")
        if self is EpochLength.DAY:
            return date.fromisoformat(label)
        if self is EpochLength.WEEK:
            return date.fromisocalendar(int(label[:4]), int(label[6:]), 1)
        return date(int(label[:4]), int(label[5:]), 1)

    def start(self, day: date) -> date:
        """The first day of the epoch that contains `day`."""
        if self is EpochLength.DAY:
            return day
        return day - timedelta(days=day.weekday() if self is EpochLength.WEEK else day.day - 1)

    def end(self, day: date) -> date:
        """The last day of the epoch that contains `day`."""
        return self.next(day) - timedelta(days=1)

    def next(self, day: date) -> date:
        """The first day of the epoch after the one that contains `day`."""
        if self is EpochLength.DAY:
            return day + timedelta(days=1)
        if self is EpochLength.WEEK:
            return day + timedelta(days=7 - day.weekday())
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)

    def spanned(self, first: date, last: date) -> int:
        """The number of epochs that contain the days first..last."""
        return self.steps(first, last) + 1

    def steps(self, first: date, day: date) -> int:
        """The number of epochs from the epoch of `first` to the epoch of `day`; negative if `day` comes earlier."""
        if self is EpochLength.MONTH:
            return 12 * (day.year - first.year) + day.month - first.month
        return (self.start(day) - self.start(first)).days // (1 if self is EpochLength.DAY else 7)


_LABEL = {
    EpochLength.DAY: re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
    EpochLength.WEEK: re.compile(r"\d{4}-W\d{2}", re.ASCII),
    EpochLength.MONTH: re.compile(r"\d{4}-\d{2}", re.ASCII),
}
_EXAMPLE = {EpochLength.DAY: "2026-11-02", EpochLength.WEEK: "2026-W45", EpochLength.MONTH: "2026-11"}
