"""Epochs in which a device should have answered and did not, because no tick ran: counted, and never sent."""

import pytest

from hushtally.client_sdk.state.counters import Fate


def missed(client):
    return client.status().counters.get(Fate.MISSED, 0)


def test_days_without_a_tick_are_counted(lab):
    client = lab.client()
    lab.live(client, 2)
    lab.clock.advance(days=6)
    assert missed(client) == 0  # the next tick counts them
    lab.live(client, 2)
    assert missed(client) == 6
    assert len(lab.recorder.batches) == 4
    assert b"missed" not in b"".join(lab.recorder.bodies)


def test_epochs_of_other_phases_are_not_counted(lab):
    """Sixteen devices answer every fourth day and tick every fourth day. Those of that phase miss nothing."""
    found = set()
    for key in "abcdefghijklmnop":
        lab.clock.now = lab.clock.now.replace(day=2)
        client = lab.client(lab.survey(every=4), device=key)
        for _ in range(5):
            client.tick()
            lab.clock.advance(days=4)
        client.tick()
        answers = lab.rows("SELECT count(*) FROM schedules WHERE device = ? AND phase = 0", client._device._id)
        found.add((answers == [(1,)], missed(client)))
    assert found == {(True, 0), (False, 5)}


def test_a_device_that_ticks_misses_nothing(lab):
    """Also at the end of a survey, and when a new version replaces it."""
    client = lab.client(lab.survey(ends="2026-11-04"))
    lab.live(client, 2)
    lab.end()
    client = lab.client(lab.survey(version=2, ends="2026-11-06"))
    lab.live(client, 5)
    assert (missed(client), len(lab.recorder.batches)) == (0, 5)


def test_epochs_before_consent_and_after_a_withdrawal_are_not_counted(lab):
    client = lab.client(agreed=False)
    lab.clock.advance(days=3)
    client.tick()
    client.grant_consent()
    lab.clock.advance(days=2)
    client.tick()
    assert missed(client) == 2
    client.withdraw_consent()
    lab.clock.advance(days=2)
    client.tick()
    client.grant_consent()
    client.tick()
    assert missed(client) == 0


@pytest.mark.parametrize("again", [False, True])
def test_the_last_days_of_a_survey_are_counted_after_its_end(lab, again):
    client = lab.client(lab.survey(ends="2026-11-07"))
    lab.live(client, 2)
    lab.clock.advance(days=10)
    for _ in range(1 + again):
        client.tick()
    assert missed(client) == 4


def test_a_new_version_covered_by_old_consent_misses_no_earlier_epoch(lab):
    lab.live(lab.client(max_lifetime_epsilon=100), 1)
    lab.end()
    lab.clock.advance(days=4)
    client = lab.client(lab.survey(version=2), agreed=False, keep_consent=True, max_lifetime_epsilon=100)
    client.tick()
    assert missed(client) == 0


def test_epochs_that_the_ceiling_forbids_are_not_counted(lab):
    client = lab.client(max_lifetime_epsilon=20)
    client._device._answering._ceiling = 5.0
    lab.clock.advance(days=3)
    client.tick()
    assert missed(client) == 0


def test_an_epoch_answered_by_an_older_version_is_not_counted(lab):
    """Consent to the new version was given on the same day."""
    client = lab.client()
    client.tick()
    lab.end()
    client = lab.client(lab.survey(version=2))
    lab.clock.advance(days=1)
    client.tick()
    assert missed(client) == 0
