"""Admission: which reports of a batch count, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MOST_BYTES, Batch, Reason, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.refusal import Refusal


@dataclass(frozen=True)
class Admission:
    """What becomes of one batch.

    counts: how often each symbol came, by cell; rejected: (index of the report, reason), ascending; expires: the last
    day on which a report of the batch can be accepted (of the next epoch, where it is further ahead), None when none
    ever can, so that its id need not be kept.
    """

    batch: str
    survey: Survey
    counts: Mapping[Cell, Counter[int]]
    rejected: tuple[tuple[int, Reason], ...]
    expires: date | None

    @property
    def accepted(self) -> int:
        """How many reports count."""
        return sum(symbols.total() for symbols in self.counts.values())

    @property
    def answer(self) -> str:
        """What the sender is told, in canonical JSON: the same text however often the batch comes."""
        rejected = [
            {"index": index, "reason": str(reason), "retryable": reason.retryable} for index, reason in self.rejected
        ]
        return canonical_json({"accepted": self.accepted, "rejected": rejected})


def read(body: bytes) -> Batch:
    """The batch in a request's body; Refusal when it is too large or is none."""
    if len(body) > MOST_BYTES:
        raise too_large()
    try:
        return Batch.decode(body)
    except BatchError as error:
        raise Refusal(Refused.MALFORMED, str(error)) from None


def too_large() -> Refusal:
    """The refusal of a body that is longer than any batch."""
    return Refusal(Refused.TOO_LARGE, f"the body must have at most {MOST_BYTES:,} bytes")


def admit(batch: Batch, surveys: Collection[Survey], today: date) -> Admission:
    """Sorts the reports of a batch into those that count and those that do not.

    today: the collector's own day in UTC; the devices' clocks are not asked. Raises Refusal for a survey that is not
    among `surveys`, or that has another digest there.
    """
    survey = _collected(batch, surveys)
    counts: dict[Cell, Counter[int]] = {}
    rejected: list[tuple[int, Reason]] = []
    expires: date | None = None
    # no clock is further ahead: else anyone could have ids kept for as long as the survey runs
    horizon = survey.accepted_until(survey.epoch.next(today))
    for index, report in enumerate(batch.reports):
        reason = _rejection(report, survey, today)
        if reason is not None:
            rejected.append((index, reason))
        if reason is None or reason.retryable:
            last = min(survey.accepted_until(survey.epoch.first_day(report.epoch)), horizon)
            expires = last if expires is None else max(expires, last)
        if reason is None:
            cell = Cell.of(survey.id, survey.version, report.question, report.cohort, report.epoch)
            counts.setdefault(cell, Counter())[report.symbol] += 1
    return Admission(batch.id, survey, counts, tuple(rejected), expires)


def collected(surveys: Collection[Survey]) -> str:
    """What is collected, for whoever asked for something else."""
    known = ", ".join(f"{survey.name} (digest {survey.digest})" for survey in surveys)
    return f"collected: {known or 'nothing'}"


def _collected(batch: Batch, surveys: Collection[Survey]) -> Survey:
    for survey in surveys:
        if (survey.id, survey.version, survey.digest) == (batch.survey, batch.version, batch.digest):
            return survey
    raise Refusal(
        Refused.UNKNOWN_SURVEY,
        f"survey {shown(batch.survey)} version {batch.version} with digest {batch.digest!r} is not collected here; "
        f"{collected(surveys)}",
    )


def _rejection(report: Report, survey: Survey, today: date) -> Reason | None:
    # what will never count is found first, so that only a sound report is called retryable
    try:
        question = survey.question(report.question)
    except KeyError:
        return Reason.UNKNOWN_QUESTION
    if question.only_crossed:
        return Reason.UNKNOWN_QUESTION
    if survey.cohort_problem(report.cohort) is not None:
        return Reason.COHORT_MISMATCH
    if not 0 <= report.symbol < question.mechanism.symbols:
        return Reason.SYMBOL_OUT_OF_RANGE
    return _epoch_rejection(report.epoch, survey, today)


def _epoch_rejection(label: str, survey: Survey, today: date) -> Reason | None:
    try:
        first = survey.epoch.first_day(label)
    except ValueError:
        return Reason.MALFORMED_EPOCH
    if not survey.runs(first):
        return Reason.EPOCH_OUTSIDE_SURVEY
    if first > today:
        return Reason.EPOCH_NOT_OPEN
    return Reason.EPOCH_CLOSED if today > survey.accepted_until(first) else None
