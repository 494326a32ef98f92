"""What a share is about, from the devices' lives to the table: the customers as of their first tick in the epoch."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from hushtally.aggregator.database import Database
from hushtally.aggregator.summary import summarize
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness
from hushtally.collector.app import create_app
from hushtally.simulations.simulate.client_engine import URL, InProcess
from survey_builder import survey_text

DAYS, LOOKS_BACK = 6, 2
STARTS = date(2026, 11, 2)
SURVEY = Survey.parse(
    survey_text(
        [{"id": "buys", "segments": [{"id": "yes", "when": "orders > 0"}, {"id": "no"}]}],
        starts=STARTS,
        ends=STARTS + timedelta(days=DAYS - 1),
        min_reports=20,
        privacy={"epsilon": 3.0, "answers_every": 1},
        cohorts={},
        signals={"orders": {"count": "purchase", "days": LOOKS_BACK}},
    )
)


@dataclass(frozen=True)
class Life:
    """When a customer agrees, buys and has the app tick."""

    agrees: datetime
    purchases: list[datetime]
    ticks: list[datetime]

    def ticks_on(self, day: date) -> list[datetime]:
        return [when for when in self.ticks if when.date() == day and when > self.agrees]

    def bought_by(self, when: datetime, since: datetime) -> bool:
        """Whether in the days that the survey looks back, and not before `since`."""
        first = when.date() - timedelta(days=LOOKS_BACK - 1)
        return any(since < bought < when and bought.date() >= first for bought in self.purchases)


def lived(source: random.Random) -> Life:
    """Agrees in the first four days; buys rather late on two days of five, also before; ticks whenever it likes, and
    in each day's last second."""

    def moment(day: int, share: float) -> datetime:
        return datetime.combine(STARTS, time(), UTC) + timedelta(days=day, seconds=86_398 * share)

    purchases = [moment(day, source.random() ** 0.5) for day in range(DAYS) if source.random() < 0.4]
    ticks = [moment(day, source.random()) for day in range(DAYS) for _ in range(3)]
    ends = [moment(day, 1) + timedelta(seconds=1) for day in range(DAYS)]
    return Life(moment(source.randrange(4), source.random()), purchases, sorted(ticks + ends))


@pytest.fixture(scope="module")
def lives(request: pytest.FixtureRequest) -> list[Life]:
    source = random.Random(20_261_124)
    return [lived(source) for _ in range(request.param)]


@pytest.fixture(scope="module")
def rows(lives, tmp_path_factory):
    """What is published of the share that buys, by epoch: every life is led by a real client, its app recording and
    ticking as if nothing were between it and the collector."""
    folder = tmp_path_factory.mktemp("fleet")
    clock = ScriptedClock(STARTS.isoformat())
    app = create_app([SURVEY], folder / "hushtally.db", clock=lambda: clock.now.date())
    transport, faults = InProcess(app.test_client()), []
    todo: list[tuple[datetime, int, Callable[[], None]]] = []
    for number, life in enumerate(lives):
        client = Client(
            SURVEY,
            collector=URL,
            state=folder / "devices.db",
            device=str(number),
            clock=clock,
            randomness=SeededRandomness(number),
            transport=transport,
            on_error=faults.append,
        )
        todo.append((life.agrees, number, client.grant_consent))
        todo += [(when, number, lambda client=client: client.record("purchase")) for when in life.purchases]
        todo += [(when, number, client.tick) for when in life.ticks]
    for when, _, do in sorted(todo, key=lambda one: one[:2]):
        clock.now = when
        do()
    app.extensions["hushtally"].close()
    assert faults == []
    with Database.open(folder / "hushtally.db") as database:
        tallies = database.tallies(SURVEY, clock.now.date())
    found = summarize(SURVEY, tallies, population="respondents", today=clock.now.date())
    return {date.fromisoformat(row.epoch): row for row in found if row.segment == "yes"}


def share(lives, day, at, *, from_the_first=False):
    """The share of those who have a tick on the day that had bought by the tick at this place."""
    there = [life for life in lives if life.ticks_on(day)]
    beginning = datetime.min.replace(tzinfo=UTC)
    held = [life.bought_by(life.ticks_on(day)[at], beginning if from_the_first else life.agrees) for life in there]
    return sum(held) / len(there)


@pytest.mark.parametrize("lives", [120, pytest.param(400, marks=pytest.mark.slow)], indirect=True)
def test_it_is_the_share_as_of_the_first_tick_of_each_device(lives, rows):
    """Of what they did since they agreed; each that ticked is in it once."""
    assert len(rows) == DAYS
    for day, row in rows.items():
        assert row.reports == sum(bool(life.ticks_on(day)) for life in lives)
        # one of the six days fails by chance 1 in 10^3, if the seeds were drawn
        assert abs(row.estimate - share(lives, day, 0)) < 4 * row.standard_error, day


@pytest.mark.slow
@pytest.mark.parametrize("lives", [400], indirect=True)
def test_it_is_no_other_share(lives, rows):
    """Not that of the day's end, on any day; nor, while many have just agreed, that of what they had done before."""
    # true of these lives by 7 standard errors at least: fails by chance 1 in 10^6
    for day, row in rows.items():
        assert share(lives, day, -1) > row.high, day
    second = STARTS + timedelta(days=1)
    assert share(lives, second, 0, from_the_first=True) > rows[second].high
