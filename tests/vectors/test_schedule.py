"""The second client computes the published epochs, schedules and costs, and repeats the published symbols."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from published import load
from reference_client.epochs import closing, first_day, label, last_day
from reference_client.schedule import permanent_memory, schedule

SCHEDULE = load("schedule")


@pytest.mark.parametrize("case", SCHEDULE["epochs"], ids=lambda case: f"{case['epoch']}-{case['day']}")
def test_a_day_belongs_to_the_published_epoch(case: dict[str, Any]) -> None:
    assert label(case["epoch"], date.fromisoformat(case["day"])) == case["label"]
    assert first_day(case["epoch"], case["label"]).isoformat() == case["first"]
    assert last_day(case["epoch"], case["label"]).isoformat() == case["last"]


@pytest.mark.parametrize("case", SCHEDULE["invalid"], ids=lambda case: f"{case['epoch']}-{case['label']}")
def test_an_invalid_label_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        first_day(case["epoch"], case["label"])


@pytest.mark.parametrize("case", SCHEDULE["closing"], ids=lambda case: case["label"])
def test_an_epoch_closes_and_is_erased_on_the_published_days(case: dict[str, Any]) -> None:
    days = closing(case["epoch"], case["label"], case["retention_days"])
    assert [day.isoformat() for day in days] == [case["accepted_until"], case["erased_on"]]


@pytest.mark.parametrize("case", SCHEDULE["cases"], ids=lambda case: case["survey"]["ends"])
def test_a_survey_has_the_published_schedule_and_costs(case: dict[str, Any]) -> None:
    assert {"survey": case["survey"], **schedule(case["survey"])} == case


@pytest.mark.parametrize("case", SCHEDULE["memory"], ids=lambda case: str(case["changes"]))
def test_permanent_memory_repeats_the_published_values(case: dict[str, Any]) -> None:
    assert permanent_memory(case["changes"], case["values"]) == (case["repeated"], case["new"])
