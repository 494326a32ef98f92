"""Rows: one figure with its uncertainty; the fields are the stable keys of the JSON and CSV formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hushtally.aggregator.intervals import Population


@dataclass(frozen=True)
class Row:
    """One share, or another statistic of the kind `kind`, with its uncertainty.

    cohort: the cohort values of the group, {} for all customers. low..high: contains the true share of one segment with
    the confidence of the row. For segments that were picked for their estimates, use
    simultaneous_low..simultaneous_high: low..high misses the true share of these segments more often. detected: whether
    the share is distinguishable from zero, because the lower end of the one-sided interval of the same confidence is
    above zero. With rappor, low..high has this confidence for the segments with `detected` too, but not for the
    segments with low > 0. complete: no more reports of the epoch are accepted. A row with published = False has the
    number of reports and a reason, but no shares.
    outcome: of a rate, like returned=yes; of a rank or a lift, what the row is about. versus: the segment, epoch or
    range with which the segment is compared. quality: of a rate "good", or "weak" inside a segment of few customers; of
    a share "smoothed", "refuted" (the share moved by more than was declared) or "always-valid". p_value: of a trend,
    the probability that estimates differ as much if the share never changed. pooling: how groups and epochs that are
    estimated together are weighted, by "reports" or "customers". top: whether a segment is among the largest, "yes",
    "maybe" or "no". cluster: of a lift, the number of a group of segments that occur together.
    """

    survey: str
    version: int
    question: str
    epoch: str
    cohort: Mapping[str, str]
    segment: str
    kind: str
    reports: int
    estimate: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    simultaneous_low: float | None = None
    simultaneous_high: float | None = None
    consistent: float | None = None
    published: bool = False
    reason: str | None = None
    confidence: float = 0.95
    population: Population = "customers"
    detected: bool | None = None
    complete: bool = False
    outcome: str | None = None
    versus: str | None = None
    quality: str | None = None
    p_value: float | None = None
    pooling: str = "reports"
    top: str | None = None
    cluster: int | None = None
