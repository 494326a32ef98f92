"""Reports, batches of them, and their form on the wire: there is no field that could hold a true value or a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.errors import BatchError

MOST_REPORTS = 1_000  # in one batch
MOST_BYTES = 262_144  # of one batch

# canonical JSON (RFC 8785) where keys are ASCII and numbers integers, in a fifth of its time
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))

_BATCH_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_BATCH_FIELDS = ("batch", "survey", "version", "digest", "reports")
_REPORT_FIELDS = ("question", "epoch", "cohort", "symbol")


class Reason(StrEnum):
    """Why a collector does not count a report; a closed list."""

    UNKNOWN_QUESTION = "unknown_question"
    COHORT_MISMATCH = "cohort_mismatch"
    SYMBOL_OUT_OF_RANGE = "symbol_out_of_range"
    MALFORMED_EPOCH = "malformed_epoch"
    EPOCH_OUTSIDE_SURVEY = "epoch_outside_survey"
    EPOCH_CLOSED = "epoch_closed"
    EPOCH_NOT_OPEN = "epoch_not_open"

    @property
    def retryable(self) -> bool:
        """Whether the same report may count later: only a device whose clock is ahead can hope."""
        return self is Reason.EPOCH_NOT_OPEN


@dataclass(frozen=True)
class Report:
    """One randomized answer: `symbol` for `question` in `epoch`, with the declared cohorts in the clear."""

    question: str
    epoch: str
    cohort: Mapping[str, str]
    symbol: int


@dataclass(frozen=True)
class Batch:
    """Reports of one survey that travel together; `id` is random and names the delivery, not the device."""

    id: str
    survey: str
    version: int
    digest: str
    reports: tuple[Report, ...]

    def encode(self) -> bytes:
        """The body of the request, the same bytes for the same batch."""
        table = {
            "batch": self.id,
            "survey": self.survey,
            "version": self.version,
            "digest": self.digest,
            "reports": [{**vars(report), "cohort": dict(report.cohort)} for report in self.reports],
        }
        return _CANONICAL.encode(table).encode()

    @classmethod
    def decode(cls, body: bytes) -> Batch:
        """The batch in a request's body; BatchError says what is wrong with it.

        An unknown field anywhere is refused, as is a field given twice: there is no place for an identifier.
        """
        try:
            # decoded here: json.loads would also take UTF-16, UTF-32 and a byte order mark
            text = body.decode("utf-8")
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_refuse)
        except (ValueError, RecursionError):
            raise BatchError("the body must be JSON in UTF-8") from None
        table = _table(value, _BATCH_FIELDS, "the batch")
        reports = table["reports"]
        if not isinstance(reports, list) or not 1 <= len(reports) <= MOST_REPORTS:
            raise BatchError(f"reports must be a list of 1 to {MOST_REPORTS:,}")
        return cls(
            id=_batch_id(table["batch"]),
            survey=_text(table["survey"], "survey"),
            version=_integer(table["version"], "version"),
            digest=_text(table["digest"], "digest"),
            reports=tuple(_report(report, f"reports[{index}]") for index, report in enumerate(reports)),
        )


def _report(value: object, place: str) -> Report:
    table = _table(value, _REPORT_FIELDS, place)
    cohort = table["cohort"]
    if not isinstance(cohort, dict) or not all(isinstance(one, str) for one in cohort.values()):
        raise BatchError(f"{place}.cohort must be an object of texts")
    return Report(
        question=_text(table["question"], f"{place}.question"),
        epoch=_text(table["epoch"], f"{place}.epoch"),
        cohort=cohort,
        symbol=_integer(table["symbol"], f"{place}.symbol"),
    )


def _table(value: object, fields: tuple[str, ...], place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BatchError(f"{place} must be an object")
    unknown = value.keys() - set(fields)
    if unknown:
        raise BatchError(f"{place} has an unknown field: {shown(min(unknown))}")
    missing = [field for field in fields if field not in value]
    if missing:
        raise BatchError(f"{place} lacks {', '.join(missing)}")
    return value


def _batch_id(value: object) -> str:
    if not isinstance(value, str) or not _BATCH_ID.fullmatch(value):
        raise BatchError("batch must be 32 lower-case hex digits")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise BatchError(f"{place} must be a text of at most 100 printable characters")
    return value


def _integer(value: object, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BatchError(f"{place} must be an integer from 0 to 2^53 - 1")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise BatchError(f"the field {shown(key)} is given twice")
        table[key] = value
    return table


def _refuse(number: str) -> None:
    raise BatchError(f"a number must be an integer, got {shown(number)}")
