"""Admission: which reports are accepted, which are rejected and why, and which requests are refused as a whole."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MAX_BYTES, Reason, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit, decode
from hushtally.collector.refusal import Refusal
from hushtally.collector.startup_warnings import require_distinct

TODAY = date(2026, 11, 24)
WEB = {"platform": "web"}
NOW = "2026-11-24"

# the case, the report, the reason for its rejection; None: the report is accepted
CASES = [
    ("the current epoch", Report("frequency", NOW, WEB, 0), None),
    ("the last symbol", Report("frequency", NOW, WEB, 1), None),
    ("the previous epoch", Report("frequency", "2026-11-23", WEB, 0), None),
    ("another cohort", Report("both", NOW, {"platform": "ios"}, 3), None),
    ("an unknown question", Report("frequencies", NOW, WEB, 0), Reason.UNKNOWN_QUESTION),
    ("a question that is only crossed", Report("hidden", NOW, WEB, 0), Reason.UNKNOWN_QUESTION),
    ("no cohort", Report("frequency", NOW, {}, 0), Reason.COHORT_MISMATCH),
    ("an undeclared cohort", Report("frequency", NOW, WEB | {"age": "30"}, 0), Reason.COHORT_MISMATCH),
    ("a misspelled cohort", Report("frequency", NOW, {"platforms": "web"}, 0), Reason.COHORT_MISMATCH),
    ("an undeclared value", Report("frequency", NOW, {"platform": "Web"}, 0), Reason.COHORT_MISMATCH),
    ("the symbol after the last", Report("frequency", NOW, WEB, 2), Reason.SYMBOL_OUT_OF_RANGE),
    ("a negative symbol", Report("frequency", NOW, WEB, -1), Reason.SYMBOL_OUT_OF_RANGE),
    ("a huge symbol", Report("frequency", NOW, WEB, 2**53 - 1), Reason.SYMBOL_OUT_OF_RANGE),
    ("an epoch of another length", Report("frequency", "2026-W48", WEB, 0), Reason.MALFORMED_EPOCH),
    ("a day that does not exist", Report("frequency", "2026-11-31", WEB, 0), Reason.MALFORMED_EPOCH),
    ("an empty epoch", Report("frequency", "", WEB, 0), Reason.MALFORMED_EPOCH),
    ("before the survey", Report("frequency", "2026-11-13", WEB, 0), Reason.EPOCH_OUTSIDE_SURVEY),
    ("after the survey", Report("frequency", "2026-12-05", WEB, 0), Reason.EPOCH_OUTSIDE_SURVEY),
    ("the end of time", Report("frequency", "9999-12-31", WEB, 0), Reason.EPOCH_OUTSIDE_SURVEY),
    ("two epochs ago", Report("frequency", "2026-11-22", WEB, 0), Reason.EPOCH_CLOSED),
    ("the next epoch", Report("frequency", "2026-11-25", WEB, 0), Reason.EPOCH_NOT_OPEN),
    ("a future epoch, and a symbol that is out of range", Report("frequency", "2026-11-25", WEB, 2), "final"),
]


@pytest.mark.parametrize(("report", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_report_is_accepted_or_rejected_with_a_reason(
    report: Report, reason: Any, survey: Survey, batches: Any
) -> None:
    """An accepted report is counted in its cell. A final reason takes precedence over a retryable reason."""
    admission = admit(batches.batch(report), [survey], TODAY)
    if reason is None:
        cohort = json.dumps(report.cohort, separators=(",", ":"))
        cell = Cell("habits", 1, report.question, cohort, report.epoch)
        assert admission.counts == {cell: Counter({report.symbol: 1})}
        assert admission.outcome.rejected == ()
    else:
        expected = Reason.SYMBOL_OUT_OF_RANGE if reason == "final" else reason
        assert admission.counts == {}
        assert admission.outcome.rejected == ((0, expected),)
        assert json.loads(admission.outcome.response) == {
            "accepted": 0,
            "rejected": [{"index": 0, "reason": str(expected), "retryable": expected is Reason.EPOCH_NOT_OPEN}],
        }


def test_every_reason_has_a_case() -> None:
    """The list of reasons is closed, and every reason occurs."""
    assert {case[2] for case in CASES} >= set(Reason)


def test_the_reports_of_a_batch_are_summed_by_cell(survey: Survey, batches: Any) -> None:
    """A rejected report does not affect the other reports of its batch."""
    report = batches.report
    admission = admit(batches.batch(report(), report(symbol=5), report(), report(symbol=1)), [survey], TODAY)
    ((_, symbols),) = admission.counts.items()
    assert symbols == {0: 2, 1: 1}
    assert admission.outcome.accepted == 3
    assert admission.outcome.response == (
        '{"accepted":3,"rejected":[{"index":1,"reason":"symbol_out_of_range","retryable":false}]}'
    )


@pytest.mark.parametrize(
    ("days", "expires"),
    [
        ([0], 1),
        ([-1], 0),
        ([-1, 0], 1),
        ([0, 3], 2),
        ([0, 1], 2),
        ([-2], None),
        ([-2, -1], 0),
        ([1], None),
        ([20], None),
    ],
)
def test_a_batch_id_expires_with_the_last_report_that_can_be_accepted(
    days: list[int], expires: int | None, survey: Survey, batches: Any
) -> None:
    """A report of a future epoch counts up to the next epoch. If no report was accepted, no id is stored."""
    reports = [batches.report(days=day) for day in days]
    admission = admit(batches.batch(*reports), [survey], TODAY)
    assert admission.expires == (None if expires is None else TODAY + timedelta(days=expires))


@pytest.mark.parametrize(
    ("length", "first", "last"),
    [("day", "2026-12-31", "2027-01-01"), ("week", "2026-12-28", "2027-01-10"), ("month", "2026-12-01", "2027-01-31")],
)
def test_an_epoch_is_accepted_until_the_next_one_ends(length: str, first: str, last: str, survey: Survey) -> None:
    survey = replace(survey, epoch=type(survey.epoch)(length))
    assert survey.accepted_until(date.fromisoformat(first)) == date.fromisoformat(last)


@pytest.mark.parametrize("change", [{"survey": "habit"}, {"version": 2}, {"digest": "0" * 64}, {"digest": "\ud800"}])
def test_an_unknown_survey_is_refused_with_the_known_surveys(
    change: dict[str, Any], survey: Survey, batches: Any
) -> None:
    """A survey is unknown if its id, its version or its digest differs."""
    batch = replace(batches.batch(batches.report()), **change)
    with pytest.raises(Refusal) as caught:
        admit(batch, [survey], TODAY)
    assert caught.value.kind is Refused.UNKNOWN_SURVEY
    assert caught.value.detail == (
        f"survey {batch.survey!r} version {batch.version} with digest {batch.digest!r} is not collected here; "
        f"collected: habits v1 (digest {survey.digest})"
    )
    assert caught.value.detail.isascii()


MALFORMED = [
    (b"", "the body must be JSON in UTF-8"),
    (b"\xff", "the body must be JSON in UTF-8"),
    (b"[" * 100_000, "the body must be JSON in UTF-8"),
    (b"[]", "the batch must be an object"),
    (b"{}", "the batch is missing batch, survey, version, digest, reports"),
    ({"device": "d"}, "the batch has an unknown field: 'device'"),
    ({"batch": "A" * 32}, "batch must be 32 lowercase hexadecimal digits"),
    ({"version": "1"}, "version must be an integer from 0 to 2^53 - 1"),
    ({"reports": []}, "reports must be a list of 1 to 1,000 reports"),
    ({"reports": [{}]}, "reports[0] is missing question, epoch, cohort, symbol"),
    ({"reports": [{"user": "u"}]}, "reports[0] has an unknown field: 'user'"),
]


@pytest.mark.parametrize(("body", "detail"), MALFORMED)
def test_a_body_that_is_not_a_batch_is_refused(body: Any, detail: str, batches: Any) -> None:
    """The refusal has the status 400, the place of the mistake, and what was required."""
    if isinstance(body, dict):
        body = json.dumps(json.loads(batches.batch(batches.report()).encode()) | body).encode()
    with pytest.raises(Refusal) as caught:
        decode(body)
    assert caught.value.problem == {
        "type": "urn:hushtally:malformed",
        "title": "The body is not a batch of reports",
        "status": 400,
        "detail": detail,
    }


def test_a_body_above_the_limit_is_refused() -> None:
    with pytest.raises(Refusal, match="the body must have at most 262,144 bytes") as caught:
        decode(b" " * (MAX_BYTES + 1))
    assert caught.value.kind.status == 413


@pytest.mark.parametrize(
    ("days", "reason"), [(0, None), (1, None), (2, Reason.EPOCH_CLOSED), (3_650, Reason.EPOCH_CLOSED)]
)
def test_the_last_epoch_of_a_survey_is_accepted_until_the_next_epoch_ends(
    days: int, reason: Reason | None, survey: Survey, batches: Any
) -> None:
    """After that day, every report of the survey is rejected with a final reason."""
    last = batches.report(days=(survey.ends - TODAY).days)
    admission = admit(batches.batch(last), [survey], survey.ends + timedelta(days=days))
    assert [rejection for _, rejection in admission.outcome.rejected] == ([] if reason is None else [reason])


def test_a_survey_that_is_given_twice_is_an_error(survey: Survey) -> None:
    with pytest.raises(SurveyError, match="habits v1 must be given once, but it is given twice"):
        require_distinct([survey, survey])
