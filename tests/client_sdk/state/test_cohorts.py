"""The cohort of a device: stored with a consent or an event, and sent with every answer, whichever process ticks."""

import logging

import pytest

from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.testing import Recorder

PLANS = {"plan": ["free", "paid"]}
FREE, PAID = {"plan": "free"}, {"plan": "paid"}
CHANGED, IGNORED = "changed: cohort", "ignored: cohort given to a tick"


@pytest.fixture
def shop(lab):
    """The laboratory, with a survey that declares the cohort `plan`, and counters that are read at the end."""
    lab.plans = lab.survey(cohorts=PLANS)
    return lab


def client(shop, cohort=None, *, agreed=False, **options):
    return shop.client(shop.plans, cohort=cohort, agreed=agreed, **options)


def buy(one):
    one.record("purchase", amount=1, category="c1")


def visit(shop, cohort, **options):
    """A process that knows the customer: it records an event and ends."""
    one = client(shop, cohort, **options)
    buy(one)
    one.close()


def sent(shop):
    return [report.cohort for report in shop.recorder.reports]


def counted(shop, name):
    return client(shop).status().counters.get(name, 0)


class TestWhichValueCounts:
    def test_the_cohort_of_the_last_event_counts_not_the_one_of_the_tick(self, shop):
        """A timer that gives a constant does not change what is reported about the customer."""
        visit(shop, PAID, agreed=True)
        shop.live(client(shop, FREE), 2)
        assert sent(shop) == [PAID, PAID]
        assert (counted(shop, CHANGED), counted(shop, IGNORED)) == (0, 2)

    def test_a_timer_needs_no_cohort(self, shop):
        visit(shop, PAID, agreed=True)
        shop.end()
        shop.live(client(shop), 2)
        assert sent(shop) == [PAID, PAID]
        assert (counted(shop, CHANGED), counted(shop, IGNORED)) == (0, 0)

    def test_the_cohort_of_the_consent_counts_if_nothing_was_recorded(self, shop):
        client(shop, PAID, agreed=True).close()
        shop.live(client(shop), 1)
        assert sent(shop) == [PAID]

    @pytest.mark.parametrize("act", [buy, lambda one: one.grant_consent()], ids=["event", "consent"])
    def test_a_change_counts_from_then_on_and_is_counted(self, shop, act):
        visit(shop, FREE, agreed=True)
        shop.live(client(shop), 1)
        changed = client(shop, PAID)
        act(changed)
        changed.close()
        shop.live(client(shop), 2)
        assert sent(shop) == [FREE, PAID, PAID]
        assert counted(shop, CHANGED) == 1

    def test_a_change_in_an_epoch_that_was_answered_counts_in_the_next(self, shop):
        """One epoch, one answer, one cohort; also a retry sends the same bytes."""
        shop.recorder = Recorder(OSError("no network"))
        visit(shop, FREE, agreed=True)
        client(shop).tick()
        shop.clock.advance(seconds=86_398)
        client(shop).tick()
        visit(shop, PAID)
        client(shop).tick()
        assert [report.cohort for report in shop.recorder.reports] == [FREE]
        assert set(shop.recorder.bodies) == {shop.recorder.bodies[0]}
        assert shop.rows("SELECT count(*) FROM ledger") == [(1,)]

    def test_an_event_that_is_not_stored_changes_nothing(self, shop):
        """The app may not even know that the customer withdrew."""
        visit(shop, PAID, agreed=True)
        other = client(shop, FREE)
        other.record("nothing that a survey asks about")
        other.close()
        shop.live(client(shop), 1)
        assert sent(shop) == [PAID]

    def test_every_device_of_a_file_has_its_own_cohort(self, shop):
        for key, cohort in (("anna", PAID), ("bert", FREE)):
            visit(shop, cohort, device=key, agreed=True)
        for key, cohort in (("anna", PAID), ("bert", FREE)):
            recorder = Recorder()
            client(shop, device=key, transport=recorder).tick()
            shop.clock.advance(seconds=86_399)
            client(shop, device=key, transport=recorder).tick()
            shop.clock.advance(seconds=-86_399)
            assert [report.cohort for report in recorder.reports] == [cohort]

    def test_two_libraries_of_an_app_keep_each_others_cohorts(self, shop):
        other = shop.survey(id="other", cohorts={"platform": ["web", "ios"]})
        visit(shop, PAID, agreed=True)
        shop.client(other, cohort={"platform": "ios"})
        timer = shop.client([shop.plans, other], cohort=None, agreed=False)
        shop.live(timer, 1)
        assert sorted(map(str, sent(shop))) == ["{'plan': 'paid'}", "{'platform': 'ios'}"]

    def test_a_value_that_a_later_version_no_longer_declares(self, shop):
        """The value that the app gives counts then; without one the device is silent."""
        options = {"keep_consent": True, "max_lifetime_epsilon": 1_000}
        visit(shop, FREE, agreed=True)
        later = shop.survey(version=2, cohorts={"plan": ["paid", "trial"]})
        assert shop.silence(shop.client(later, cohort=None, agreed=False, **options)) == Silence.NO_COHORT
        shop.live(shop.client(later, cohort={"plan": "trial"}, agreed=False, **options), 1)
        assert sent(shop) == [{"plan": "trial"}]


class TestWithoutACohort:
    def test_a_device_without_a_known_cohort_is_silent_and_says_why(self, shop, caplog):
        one = client(shop, agreed=True)
        buy(one)
        shop.live(one, 1)
        assert shop.silence(one) == "the app gave no cohort for this device"
        assert (one.status().surveys[0].next, sent(shop), shop.faults) == (None, [], [])
        assert [line.message for line in caplog.records if line.levelno >= logging.WARNING] == [
            "grant_consent: habits v1 is silent until a client gives cohort= for this device"
        ]

    def test_it_answers_as_soon_as_a_client_gives_the_cohort(self, shop):
        """Its events were recorded meanwhile. The client need not record: the customer has agreed."""
        visit(shop, None, agreed=True)
        assert shop.rows("SELECT count(*) FROM events") == [(1,)]
        client(shop, PAID).close()
        shop.live(client(shop), 1)
        assert sent(shop) == [PAID]
        assert counted(shop, CHANGED) == 0

    def test_a_first_tick_with_a_cohort_does_not_outlast_the_next_event(self, shop):
        """As in a file of an older version, which has no cohorts."""
        visit(shop, PAID, agreed=True)
        with shop.clients[-1]._create()._state.transaction() as connection:
            connection.execute("DELETE FROM cohorts")
        shop.live(client(shop, FREE), 1)
        visit(shop, PAID)
        shop.live(client(shop), 1)
        assert sent(shop) == [FREE, PAID]
        assert counted(shop, CHANGED) == 1

    def test_an_epoch_without_a_cohort_is_counted_as_missed(self, shop):
        one = client(shop, agreed=True)
        shop.live(one, 2)
        visit(shop, PAID)
        client(shop).tick()
        assert counted(shop, "missed: no working tick") == 2

    def test_a_survey_without_cohorts_needs_none(self, shop):
        shop.live(shop.client(shop.survey(cohorts={}), cohort=None), 1)
        assert sent(shop) == [{}]

    @pytest.mark.parametrize("value", ["'gold'", "7", "x'ff'", "''"])
    def test_a_damaged_value_is_not_sent(self, shop, value):
        visit(shop, PAID, agreed=True)
        shop.end()
        one = client(shop)
        one._device._state._connection.execute(f"UPDATE cohorts SET value = {value}")
        shop.live(one, 1)
        assert (sent(shop), shop.silence(one)) == ([], Silence.NO_COHORT)


class TestWhatIsStored:
    def test_nothing_before_consent(self, shop):
        one = client(shop, PAID)
        buy(one)
        one.tick()
        one.close()
        assert shop.rows("SELECT * FROM cohorts") == []

    def test_nothing_of_a_survey_that_the_customer_did_not_agree_to(self, shop):
        other = shop.survey(id="other", cohorts={"platform": ["web", "ios"]})
        client(shop, PAID, agreed=True)
        both = shop.client([shop.plans, other], cohort=PAID | {"platform": "ios"}, agreed=False)
        buy(both)
        both.close()
        assert shop.rows("SELECT name, value FROM cohorts") == [("plan", "paid")]

    def test_nothing_after_a_withdrawal(self, shop):
        """Also not on the disk, and not by a client that did not notice."""
        secret = shop.survey(cohorts={"plan": ["canary", "free"]})
        one = shop.client(secret, cohort={"plan": "canary"})
        other = shop.client(secret, cohort={"plan": "canary"})
        buy(one)
        one.close()
        assert b"canary" in shop.on_disk()
        assert shop.client(secret, cohort=None, agreed=False).withdraw_consent()
        buy(other)
        other.close()
        shop.end()
        assert shop.rows("SELECT * FROM cohorts") == []
        assert b"canary" not in shop.on_disk()

    def test_nothing_when_no_survey_needs_it_any_more(self, shop):
        client(shop, PAID, agreed=True)
        shop.clock.advance(days=19)
        client(shop).tick()
        assert shop.rows("SELECT value FROM cohorts") == [("paid",)]
        shop.clock.advance(days=1)
        client(shop).tick()
        assert shop.rows("SELECT * FROM cohorts") == []

    def test_it_stays_for_a_survey_that_the_customer_agreed_to_and_that_starts_later(self, shop):
        later = shop.survey(id="later", starts="2026-12-01", ends="2026-12-20", cohorts=PLANS)
        shop.client([shop.plans, later], cohort=PAID)
        shop.clock.advance(days=25)
        timer = shop.client([shop.plans, later], cohort=None, agreed=False)
        timer.tick()
        shop.clock.advance(days=10)
        shop.live(timer, 1)
        assert sent(shop) == [PAID]
