"""Test vectors of epochs, schedules and permanent memory: computed by hand, compared with the shipped code."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.retention import Retention
from hushtally.client_sdk.testing import ScriptedClock

SCHEDULE = json.loads((Path(__file__).parents[2] / "vectors" / "schedule.json").read_text(encoding="utf-8"))
SURVEY = {
    "id": "habits",
    "version": 1,
    "title": "Habits",
    "purpose": "Vectors.",
    "owner": "vectors",
    "signals": {"favourite": {"top": "purchase.category", "days": 1}},
}
VALUES = ["a", "b", "c", "d"]


def test_format() -> None:
    assert SCHEDULE["format"] == 1


@pytest.mark.parametrize("case", SCHEDULE["epochs"], ids=lambda case: f"{case['epoch']}-{case['day']}")
def test_epoch(case: dict[str, Any]) -> None:
    epoch, day = EpochLength(case["epoch"]), date.fromisoformat(case["day"])
    assert epoch.label(day) == case["label"]
    assert epoch.first_day(case["label"]) == epoch.start(day) == date.fromisoformat(case["first"])
    assert epoch.end(day) == date.fromisoformat(case["last"])


@pytest.mark.parametrize("case", SCHEDULE["invalid"], ids=lambda case: f"{case['epoch']}-{case['label']}")
def test_no_epoch(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        EpochLength(case["epoch"]).first_day(case["label"])


@pytest.mark.parametrize("case", SCHEDULE["closing"], ids=lambda case: case["label"])
def test_closing(case: dict[str, Any]) -> None:
    epoch = EpochLength(case["epoch"])
    retention = Retention(epoch, case["retention_days"])
    assert retention.accepted_until(epoch.first_day(case["label"])) == date.fromisoformat(case["accepted_until"])
    assert retention.erased_on(case["label"]) == date.fromisoformat(case["erased_on"])


def survey_of(stated: dict[str, Any]) -> Survey:
    """Return the survey that a vector describes, with one question per epsilon."""
    fields = ("answers_every", "questions_per_device", "memory", "changes")
    privacy = {name: stated[name] for name in fields if name in stated} | {"epsilon": 0.5}
    permanent = stated.get("epsilons_permanent", [None] * len(stated["epsilons"]))
    questions = []
    for number, (epsilon, lasting) in enumerate(zip(stated["epsilons"], permanent, strict=True)):
        asked = {"id": f"q{number}", "one_of": "favourite", "categories": VALUES, "epsilon": epsilon}
        questions.append(asked if lasting is None else asked | {"epsilon_permanent": lasting})
    if permanent[0] is not None:
        privacy |= {"epsilon_permanent": permanent[0]}
    span = {name: stated[name] for name in ("starts", "ends", "epoch")}
    return Survey.from_resolved(SURVEY | span | {"privacy": privacy, "questions": questions})


@pytest.mark.parametrize("case", SCHEDULE["cases"], ids=lambda case: case["survey"]["ends"])
def test_survey(case: dict[str, Any]) -> None:
    """The numbers of epochs and answers, the lifetime epsilon, and the epochs of every phase."""
    survey = survey_of(case["survey"])
    assert (survey.epochs, survey.answers) == (case["epochs"], case["answers"])
    assert survey.lifetime_epsilon == case["lifetime_epsilon"]
    assert len(case["phases"]) == survey.privacy.answers_every
    days = [survey.starts + timedelta(days=number) for number in range(-40, (survey.ends - survey.starts).days + 40)]
    for phase, labels in enumerate(case["phases"]):
        schedule = Schedule(1, survey.digest, survey.id, 0, survey.ends.toordinal(), "[]", phase, 0, 1.0, 0, None, 1)
        found = dict.fromkeys(survey.epoch.label(day) for day in days if schedule.answers_in(survey, day))
        assert list(found) == labels


@pytest.mark.parametrize("case", SCHEDULE["memory"], ids=lambda case: str(case["changes"]))
def test_permanent_memory(case: dict[str, Any], make_client: Callable[..., Client], clock: ScriptedClock) -> None:
    """The client repeats, draws and pays as stated while the customer's value changes."""
    stated = {
        "starts": "2026-11-02", "ends": "2026-11-22", "epoch": "day", "answers_every": 1, "epsilons": [1.0],
        "memory": "permanent", "epsilons_permanent": [2.0], "changes": case["changes"],
    }  # fmt: skip
    client = make_client(survey_of(stated), cohort={})
    assert client._device is not None
    repeated, costs = [], []
    for number, value in enumerate(case["values"]):
        clock.now = datetime.combine(date(2026, 11, 2 + number), time(9), UTC)
        client.record("purchase", category=VALUES[value])
        client.tick()
        with client._device._state.lock() as connection:
            repeated += connection.execute("SELECT value FROM answers ORDER BY used DESC LIMIT 1").fetchone()
            costs += connection.execute("SELECT epsilon FROM ledger ORDER BY epoch DESC LIMIT 1").fetchone()
    assert repeated == case["repeated"]
    assert costs == [2.0 if new else 0.0 for new in case["new"]]
