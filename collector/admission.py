"""Admission: which reports of a batch are counted, and why the other reports are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MAX_BYTES, Batch, Reason, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.outcome import Outcome
from hushtally.collector.refusal import Refusal


@dataclass(frozen=True)
class Admission:
    """The outcome of one batch.

    batch: the id of the batch; counts: the number of accepted reports by cell and symbol; outcome: what the sender is
    answered; expires: the last day on which a report of the batch can be accepted, capped at the last day for the next
    epoch. expires is None if no report was accepted: a retry then counts nothing twice, so the id is not stored.
    """

    batch: str
    survey: Survey
    counts: Mapping[Cell, Counter[int]]
    outcome: Outcome
    expires: date | None


def decode(body: bytes) -> Batch:
    """The batch in the body of a request; raises Refusal if the body is too large or is not a batch."""
    if len(body) > MAX_BYTES:
        raise too_large()
    try:
        return Batch.decode(body)
    except BatchError as error:
        raise Refusal(Refused.MALFORMED, str(error)) from None


def too_large() -> Refusal:
    """The refusal of a body that is larger than any batch."""
    return Refusal(Refused.TOO_LARGE, f"the body must have at most {MAX_BYTES:,} bytes")


def admit(batch: Batch, surveys: Collection[Survey], today: date) -> Admission:
    """Sorts the reports of a batch into accepted and rejected reports.

    today: the collector's own day in UTC; the clocks of devices are not used. Raises Refusal if `surveys` does not
    contain a survey with the id, version and digest of the batch.
    """
    survey = _survey_of(batch, surveys)
    counts: dict[Cell, Counter[int]] = {}
    rejected: list[tuple[int, Reason]] = []
    expires: date | None = None
    # without this cap, a sender could make the collector store ids for as long as the survey runs
    latest = survey.accepted_until(survey.epoch.next(today))
    for index, report in enumerate(batch.reports):
        reason = _rejection(report, survey, today)
        if reason is not None:
            rejected.append((index, reason))
        if reason is None or reason.retryable:
            last = min(survey.accepted_until(survey.epoch.first_day(report.epoch)), latest)
            expires = last if expires is None else max(expires, last)
        if reason is None:
            cell = Cell.of(survey.id, survey.version, report.question, report.cohort, report.epoch)
            counts.setdefault(cell, Counter())[report.symbol] += 1
    outcome = Outcome(len(batch.reports), tuple(rejected))
    return Admission(batch.id, survey, counts, outcome, expires if outcome.accepted else None)


def describe_collected(surveys: Collection[Survey]) -> str:
    """The surveys that are collected, for a sender that requested another survey."""
    known = ", ".join(f"{survey.name} (digest {survey.digest})" for survey in surveys)
    return f"collected: {known or 'nothing'}"


def _survey_of(batch: Batch, surveys: Collection[Survey]) -> Survey:
    for survey in surveys:
        if (survey.id, survey.version, survey.digest) == (batch.survey, batch.version, batch.digest):
            return survey
    raise Refusal(
        Refused.UNKNOWN_SURVEY,
        f"survey {shown(batch.survey)} version {batch.version} with digest {batch.digest!r} is not collected here; "
        f"{describe_collected(surveys)}",
    )


def _rejection(report: Report, survey: Survey, today: date) -> Reason | None:
    # final reasons come first, so that only a report without any other fault is called retryable
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
