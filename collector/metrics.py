"""Metrics: what a collector tells its operator about itself, in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import Reason
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import Admission

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTED = "hushtally_reports_counted_total"
_REJECTED = "hushtally_reports_rejected_total"
_REFUSED = "hushtally_batches_refused_total"
_FAILED = "hushtally_commits_failed_total"
_OVERDUE = "hushtally_erasures_overdue"
_UNSETTLED = "hushtally_unsettled_seconds"
_CAN_COUNT = "hushtally_can_count"

# name, type, help
_FAMILIES = (
    (_COUNTED, "counter", "Reports counted; those of a batch that comes again are not counted again."),
    (_REJECTED, "counter", "Reports that do not count, though their batch was answered with 200, by reason."),
    (_REFUSED, "counter", "Requests to /v1/reports that were refused as a whole, by reason."),
    (_FAILED, "counter", "Transactions with batches that failed; the batches were refused and may come again."),
    (_OVERDUE, "gauge", "Surveys of which counts should be erased but could not be; the log names them."),
    (_UNSETTLED, "gauge", "Seconds for which traces of single batches could not be cleared; 0 if they just were."),
    (_CAN_COUNT, "gauge", "1 if a batch would be counted now, else 0."),
)


class Metrics:
    """Sums since the start, every one there from the start at zero, for the surveys that are collected.

    Labels are survey, version and the closed lists of reasons: nothing that a sender could choose, no cohort, no
    question, no epoch. Any thread may call it.
    """

    def __init__(self, surveys: Sequence[Survey]) -> None:
        self._lock = Lock()
        names = [_series(_REFUSED, reason=kind.name.lower()) for kind in Refused]
        for survey in surveys:
            names += [_of(_COUNTED, survey), *(_of(_REJECTED, survey, reason=reason) for reason in Reason)]
        self._values = dict.fromkeys([*names, _FAILED, _OVERDUE, _UNSETTLED], 0)

    def admitted(self, admission: Admission) -> None:
        """A batch was counted for the first time."""
        with self._lock:
            self._values[_of(_COUNTED, admission.survey)] += admission.accepted
            for _, reason in admission.rejected:
                self._values[_of(_REJECTED, admission.survey, reason=reason)] += 1

    def refused(self, kind: Refused) -> None:
        """A batch was refused as a whole."""
        with self._lock:
            self._values[_series(_REFUSED, reason=kind.name.lower())] += 1

    def failed(self) -> None:
        """A transaction failed."""
        with self._lock:
            self._values[_FAILED] += 1

    def overdue(self, surveys: int) -> None:
        """Of so many surveys counts could not be erased."""
        with self._lock:
            self._values[_OVERDUE] = surveys

    def unsettled(self, seconds: float) -> None:
        """For so long the store could not be settled."""
        with self._lock:
            self._values[_UNSETTLED] = round(seconds)

    def text(self, can_count: bool) -> str:
        """All of them, as Prometheus reads them."""
        with self._lock:
            values = self._values | {_CAN_COUNT: int(can_count)}
        lines = []
        for name, type, help in _FAMILIES:
            lines += [f"# HELP {name} {help}", f"# TYPE {name} {type}"]
            lines += [f"{series} {value}" for series, value in values.items() if series.partition("{")[0] == name]
        return "\n".join(lines) + "\n"


def _of(name: str, survey: Survey, **labels: str) -> str:
    return _series(name, survey=survey.id, version=str(survey.version), **labels)


def _series(name: str, **labels: str) -> str:
    # neither ids nor reasons have signs that would need escaping
    inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inner}}}"
