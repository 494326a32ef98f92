"""Verdict: what a collector's answer means for its batch. No I/O; whatever a collector says is a case."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hushtally.client_sdk.delivery.transport import Answer
from hushtally.client_sdk.protocol.report import Batch, Reason, Report
from hushtally.client_sdk.state.counters import Fate

BUSY = frozenset({429, 503})  # the collector as a whole wants to be left alone
# what a collector refuses for good; one that has not been told of the survey yet may be, before the epoch is over
KINDS = ("malformed", "too_large", "unsupported_content")
UNKNOWN = "unknown_survey"


@dataclass(frozen=True)
class Verdict:
    """The end of a batch: how many reports count, which may go out again, and how many were lost for which reason."""

    delivered: int
    again: tuple[Report, ...]
    lost: Mapping[Fate, int]


def judge(answer: Answer, batch: Batch) -> Verdict | None:
    """The verdict on a batch, or None while it is to be tried again as it is.

    Only a collector's own words end a batch: the page of a captive portal or of a proxy that lost its way does not.
    """
    if answer.status == 200:
        return _counted(answer.body, batch)
    kind = _kind(answer.body) if 400 <= answer.status < 500 else None
    return Verdict(0, (), {Fate(f"refused: {kind}"): len(batch.reports)}) if kind in KINDS else None


def complaint(answer: Answer, batch: Batch) -> str:
    """Why a batch is to be tried again as it is, for who runs the app; of what a server says nothing else is kept."""
    if answer.status >= 500:
        return f"the collector answered {answer.status}"
    if _kind(answer.body) == UNKNOWN:
        return f"the collector does not know {batch.survey} v{batch.version} as the app has it"
    return f"what answered {answer.status} is no collector"


def _counted(body: bytes, batch: Batch) -> Verdict | None:
    try:
        told = json.loads(body)
        rejected = {one["index"]: (one["reason"], one["retryable"] is True) for one in told["rejected"]}
        accepted = told["accepted"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not all(type(index) is int and 0 <= index < len(batch.reports) for index in rejected):
        return None
    if type(accepted) is not int or accepted != len(batch.reports) - len(rejected):
        return None
    again = tuple(batch.reports[index] for index, (_, retryable) in rejected.items() if retryable)
    lost = Counter(Fate(f"rejected: {_reason(reason)}") for reason, retryable in rejected.values() if not retryable)
    return Verdict(accepted, again, lost)


def _reason(given: object) -> str:
    """The reason if it is one of the closed list: nothing else of what a server says is kept."""
    return str(given) if isinstance(given, str) and given in list(Reason) else "other"


def _kind(body: bytes) -> str | None:
    try:
        named = json.loads(body)["type"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return next((kind for kind in (*KINDS, UNKNOWN) if named == f"urn:hushtally:{kind}"), None)
