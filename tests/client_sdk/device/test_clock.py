"""A clock that jumps: nothing raises, no epoch is answered twice, and `status` gives the reason."""

import pytest

from hushtally.client_sdk.state.silence import Silence


def test_a_clock_set_back_answers_no_earlier_epoch(lab):
    client = lab.client()
    lab.live(client, 5)
    lab.clock.advance(days=-3)
    client.tick()
    assert lab.silence(client) == "the clock was set back"
    lab.live(client, 6)
    assert [report.epoch[-2:] for report in lab.recorder.reports] == [
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
    ]
    assert lab.silence(client) is None
    lab.assert_answered_once()


def test_epochs_skipped_by_a_jump_ahead_are_not_answered_later(lab):
    client = lab.client()
    lab.live(client)
    lab.clock.advance(days=7)
    lab.live(client)
    lab.clock.advance(days=-7)
    lab.live(client, 9)
    assert [report.epoch[-2:] for report in lab.recorder.reports] == ["02", "10", "11", "12"]


def test_a_clock_years_ahead_ends_the_survey_for_good(lab):
    """The device cannot know whether the time was real, so it deletes the events and stays silent."""
    client = lab.client()
    client.record("purchase", amount=1, category="c1")
    lab.live(client, 2)
    lab.clock.advance(days=3650)
    client.tick()
    assert lab.silence(client) == Silence.ENDED
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    lab.clock.advance(days=-3650)
    lab.live(client, 2)
    assert lab.silence(client) == "the clock once showed a day after the survey's end"
    assert len(lab.recorder.batches) == 2


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_a_clock_at_the_limits_of_dates(lab, year):
    client = lab.client()
    lab.clock.now = lab.clock.now.replace(year=year, month=12, day=31)
    client.record("purchase", amount=1, category="c1")
    client.tick()
    client.flush(0)
    assert client.status().silent is None
    assert lab.recorder.requests == []
    assert lab.faults == []


def test_a_report_expires_by_its_own_epoch_if_the_clock_jumps_ahead(lab):
    client = lab.client()
    client.tick()
    lab.clock.advance(days=3)
    client.tick()
    assert client.status().counters["expired"] == 1
    assert lab.recorder.requests == []
