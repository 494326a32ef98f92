"""Reports, batches of reports, and their JSON. No field could contain a true value or identify a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.errors import BatchError

MAX_REPORTS = 1_000  # per batch
MAX_BYTES = 262_144  # per batch

# canonical JSON (RFC 8785) for ASCII keys and integers, five times as fast as the general function
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))

_BATCH_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_BATCH_FIELDS = ("batch", "survey", "version", "digest", "reports")
_REPORT_FIELDS = ("question", "epoch", "cohort", "symbol")


class Reason(StrEnum):
    """Why a collector does not count a report. The list is closed."""

    UNKNOWN_QUESTION = "unknown_question"
    COHORT_MISMATCH = "cohort_mismatch"
    SYMBOL_OUT_OF_RANGE = "symbol_out_of_range"
    MALFORMED_EPOCH = "malformed_epoch"
    EPOCH_OUTSIDE_SURVEY = "epoch_outside_survey"
    EPOCH_CLOSED = "epoch_closed"
    EPOCH_NOT_OPEN = "epoch_not_open"

    @property
    def retryable(self) -> bool:
        """Whether the same report may count later: only if the device's clock is ahead."""
        return self is Reason.EPOCH_NOT_OPEN


@dataclass(frozen=True)
class Report:
    """One randomized answer: a symbol for a question in an epoch. The declared cohorts are sent in the clear."""

    question: str
    epoch: str
    cohort: Mapping[str, str]
    symbol: int


@dataclass(frozen=True)
class Batch:
    """Reports of one survey that are sent together. The random `id` identifies the delivery, not the device."""

    id: str
    survey: str
    version: int
    digest: str
    reports: tuple[Report, ...]

    def encode(self) -> bytes:
        """The body of the request. Equal batches give equal bytes."""
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
        """The batch in the body of a request. Raises BatchError if the body is not a batch.

        Unknown fields and repeated fields are refused everywhere: there is no place for an identifier.
        """
        try:
            # json.loads on bytes would also accept UTF-16, UTF-32 and a byte order mark
            text = body.decode("utf-8")
            value = json.loads(
                text, object_pairs_hook=_unique, parse_constant=_refuse_number, parse_float=_refuse_number
            )
        except (ValueError, RecursionError):
            raise BatchError("the body must be JSON in UTF-8") from None
        table = _table(value, _BATCH_FIELDS, "the batch")
        reports = table["reports"]
        if not isinstance(reports, list) or not 1 <= len(reports) <= MAX_REPORTS:
            raise BatchError(f"reports must be a list of 1 to {MAX_REPORTS:,} reports")
        return cls(
            id=_batch_id(table["batch"]),
            survey=_string(table["survey"], "survey"),
            version=_integer(table["version"], "version"),
            digest=_string(table["digest"], "digest"),
            reports=tuple(_report(report, f"reports[{index}]") for index, report in enumerate(reports)),
        )


def _report(value: object, place: str) -> Report:
    table = _table(value, _REPORT_FIELDS, place)
    cohort = table["cohort"]
    if not isinstance(cohort, dict) or not all(isinstance(name, str) for name in cohort.values()):
        raise BatchError(f"{place}.cohort must be an object with string values")
    return Report(
        question=_string(table["question"], f"{place}.question"),
        epoch=_string(table["epoch"], f"{place}.epoch"),
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
        raise BatchError(f"{place} is missing {', '.join(missing)}")
    return value


def _batch_id(value: object) -> str:
    if not isinstance(value, str) or not _BATCH_ID.fullmatch(value):
        raise BatchError("batch must be 32 lowercase hexadecimal digits")
    return value


def _string(value: object, place: str) -> str:
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise BatchError(f"{place} must be a string of at most 100 printable characters")
    return value


def _integer(value: object, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BatchError(f"{place} must be an integer from 0 to 2^53 - 1")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise BatchError(f"the field {shown(key)} occurs twice")
        table[key] = value
    return table


def _refuse_number(number: str) -> None:
    raise BatchError(f"every number must be an integer, got {shown(number)}")
