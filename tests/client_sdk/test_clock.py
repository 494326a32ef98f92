"""Clocks of any time zone: epochs, receipts and the day of an event are those in UTC."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from hushtally import AsyncClient, ClientError
from hushtally.client_sdk.clock import in_utc, utc_day
from hushtally.client_sdk.testing import ScriptedClock

ZONES = [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), ZoneInfo("America/Los_Angeles")]
MOMENTS = [datetime(2026, 11, 3, hour, tzinfo=UTC) for hour in (0, 6, 12, 23)]  # each on another day somewhere


class Elsewhere(ScriptedClock):
    """A scripted clock that shows its moments in another time zone."""

    def __init__(self, now, zone):
        super().__init__(now)
        self.zone = zone

    def __call__(self):
        return super().__call__().astimezone(self.zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment:%H}h")
def test_a_client_answers_in_the_epoch_of_utc(lab, moment, zone):
    client = lab.client(clock=Elsewhere(moment, zone))
    client.record("purchase", amount=1, category="c1")
    assert client.status().surveys[0].next == "2026-11-03"
    client.tick()
    assert lab.rows("SELECT DISTINCT epoch FROM ledger") == [("2026-11-03",)]
    assert lab.rows("SELECT day FROM events") == [(date(2026, 11, 3).toordinal(),)]
    assert client.receipts()[0].at == moment.isoformat(timespec="seconds")
    assert lab.faults == []


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_an_async_client_answers_in_the_epoch_of_utc(lab, zone):
    async def next_answer():
        options = {"collector": "https://tally.example", "state": lab.path, "cohort": {"platform": "web"}}
        client = await AsyncClient.open(lab.survey(), clock=Elsewhere(MOMENTS[1], zone), **options)
        async with client:
            await client.grant_consent()
            return (await client.status()).surveys[0].next

    assert asyncio.run(next_answer()) == "2026-11-03"


def test_events_expire_by_the_day_of_utc(lab):
    """The survey looks back five days, in every time zone."""
    clock = Elsewhere("2026-11-02T23:00:00", ZONES[1])
    client = lab.client(clock=clock)
    client.record("purchase", amount=1, category="c1")
    client.close()
    for days, left in ((4, 1), (1, 0)):
        clock.advance(days=days)
        lab.client(clock=clock).tick()
        assert lab.rows("SELECT count(*) FROM events") == [(left,)]


def test_a_clock_that_loses_its_time_zone_later_is_a_failure(lab):
    """The client does not guess which day it is."""
    clock = ScriptedClock("2026-11-02T00:00:00")
    given = [clock]
    client = lab.client(clock=lambda: given[0]())
    given[0] = lambda: clock().replace(tzinfo=None)
    client.tick()
    assert lab.recorder.bodies == []
    assert lab.rows("SELECT count(*) FROM ledger") == [(0,)]
    assert [(fault.during, fault.kind) for fault in lab.faults] == [("tick", "ClientError")]


@pytest.mark.parametrize("returned", [datetime(2026, 11, 2), date(2026, 11, 2), 7, None])
def test_a_clock_in_utc_refuses_what_has_no_time_zone(returned):
    with pytest.raises(ClientError, match=r"^clock must return a datetime with a time zone, got "):
        in_utc(lambda: returned)()


@pytest.mark.parametrize(
    ("given", "day"),
    [
        (date(2026, 11, 2), 2),
        (datetime(2026, 11, 2, 23), 2),
        (datetime(2026, 11, 2, 23, tzinfo=UTC), 2),
        (datetime(2026, 11, 2, 23, tzinfo=ZONES[2]), 3),
        (datetime(2026, 11, 2, 1, tzinfo=ZONES[1]), 1),
    ],
    ids=str,
)
def test_the_day_of_a_date_or_a_time_is_that_in_utc(given, day):
    """A date and a time without a time zone are taken to be in UTC."""
    assert utc_day(given) == date(2026, 11, day)


def test_a_scripted_clock_shows_utc_and_takes_a_time_without_a_time_zone_as_utc():
    """Also when the clock is set, and when it moves across a change of daylight saving time."""
    clock = ScriptedClock(datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin")))
    clock.advance(days=1)
    assert (clock(), clock().tzinfo) == (datetime(2026, 10, 25, 10, tzinfo=UTC), UTC)
    clock.now = datetime(2026, 11, 2, 9)
    assert clock() == datetime(2026, 11, 2, 9, tzinfo=UTC)
    clock.now = datetime(2026, 11, 2, 1, tzinfo=ZONES[1])
    assert (clock.now, clock.now.tzinfo) == (datetime(2026, 11, 1, 11, tzinfo=UTC), UTC)
