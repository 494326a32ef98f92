"""Metrics: what a collector reports about itself, in the Prometheus text format."""

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
_INVALID = "hushtally_requests_invalid_total"
_FAILED = "hushtally_commits_failed_total"
_OVERDUE = "hushtally_erasures_overdue"
_UNSETTLED = "hushtally_unsettled_seconds"
_CAN_COUNT = "hushtally_can_count"

# name, type, help
_FAMILIES = (
    (_COUNTED, "counter", "Reports that were counted. A batch that is sent again is not counted again."),
    (_REJECTED, "counter", "Reports that were rejected, by reason. Their batch got the status 200."),
    (_REFUSED, "counter", "Requests to /v1/reports that were refused as a whole, by reason."),
    (_INVALID, "counter", "Requests that were no valid HTTP. They got the status 400, 431 or 501."),
    (_FAILED, "counter", "Transactions with batches that failed. The batches were refused and can be sent again."),
    (_OVERDUE, "gauge", "Surveys whose expired counts could not be erased. The log names the surveys."),
    (
        _UNSETTLED,
        "gauge",
        "Seconds since the last checkpoint that succeeded, 0 if the newest one did. A checkpoint removes the order of"
        " arrival from the disk.",
    ),
    (_CAN_COUNT, "gauge", "1 if a batch would be counted now, otherwise 0."),
)


class Metrics:
    """Counters and gauges since the start of the process. Every series exists from the start, with the value 0.

    Labels are the survey, its version, and the closed lists of reasons. No label has a value that a sender chose, a
    cohort, a question or an epoch. The methods are thread-safe.
    """

    def __init__(self, surveys: Sequence[Survey]) -> None:
        self._lock = Lock()
        names = [_series(_REFUSED, reason=kind.name.lower()) for kind in Refused]
        for survey in surveys:
            names += [_of(_COUNTED, survey), *(_of(_REJECTED, survey, reason=reason) for reason in Reason)]
        self._values = dict.fromkeys([*names, _INVALID, _FAILED, _OVERDUE, _UNSETTLED], 0)

    def count_admission(self, admission: Admission) -> None:
        """Counts the accepted and the rejected reports of a batch; call it once per batch."""
        with self._lock:
            self._values[_of(_COUNTED, admission.survey)] += admission.outcome.accepted
            for _, reason in admission.outcome.rejected:
                self._values[_of(_REJECTED, admission.survey, reason=reason)] += 1

    def count_refusal(self, kind: Refused) -> None:
        """Counts a request that was refused as a whole."""
        with self._lock:
            self._values[_series(_REFUSED, reason=kind.name.lower())] += 1

    def count_invalid(self) -> None:
        """Counts a request that is no valid HTTP."""
        with self._lock:
            self._values[_INVALID] += 1

    def count_failed_commit(self) -> None:
        """Counts a transaction that failed."""
        with self._lock:
            self._values[_FAILED] += 1

    def set_overdue_erasures(self, surveys: int) -> None:
        """Sets the number of surveys whose expired counts could not be erased."""
        with self._lock:
            self._values[_OVERDUE] = surveys

    def set_checkpoint_age(self, seconds: float) -> None:
        """Sets the seconds since the last checkpoint that succeeded."""
        with self._lock:
            self._values[_UNSETTLED] = round(seconds)

    def text(self, can_count: bool) -> str:
        """All metrics in the Prometheus text format."""
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
    # neither ids nor reasons have characters that need escaping
    inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inner}}}"
