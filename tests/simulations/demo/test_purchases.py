"""The purchase log, and the true segments of its customers."""

from collections import Counter
from datetime import date, timedelta

import pytest

from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.signals import Event
from hushtally.simulations.demo.purchases import LOG_ENDS, load_customers, shift_to, true_shares
from hushtally.simulations.demo.survey import write_survey

# published figures of the log, which count one purchase per customer and day
PUBLISHED = {
    "frequency": {"1": 12_054, "2": 4_040, "3-4": 3_641, "5-9": 2_761, "10-or-more": 1_074},
    "recency": {
        "0-30-days": 1_554,
        "31-90-days": 1_763,
        "91-180-days": 2_057,
        "181-365-days": 2_976,
        "longer-ago": 15_220,
    },
    "spend": {"nothing": 68, "to-20": 6_019, "to-50": 6_745, "to-100": 4_505, "to-250": 3_973, "above-250": 2_260},
}
EARLY = {"1": 14_119, "2": 4_442, "3-4": 3_148, "5-9": 1_524, "10-or-more": 337}
CAME_BACK = {"1": 2_065, "2": 1_680, "3-4": 1_832, "5-9": 1_168, "10-or-more": 313}


@pytest.fixture(scope="module")
def customers():
    return load_customers()


def test_the_log_is_complete(customers):
    """It has all 23,570 customers and 67,591 purchases, and the published number of customers per month."""
    assert len(customers) == 23_570
    assert sum(len(customer.purchases) for customer in customers) == 67_591
    acquired = Counter(customer.acquired for customer in customers)
    assert acquired == {"1997-01": 7_846, "1997-02": 8_476, "1997-03": 7_248}


@pytest.mark.parametrize("question", PUBLISHED)
def test_the_true_segments_agree_with_the_published_figures(customers, question):
    """The true number of customers in each segment is exactly the published one."""
    assert Counter(customer.segments[question] for customer in customers) == PUBLISHED[question]


def test_the_crossed_segments_agree_with_the_published_figures(customers):
    """The crossed segments add up to the published figures."""
    joint = Counter(customer.segments["early_frequency_x_came_back"] for customer in customers)
    assert {segment: joint[f"{segment} & yes"] for segment in CAME_BACK} == CAME_BACK
    assert {segment: joint[f"{segment} & yes"] + joint[f"{segment} & no"] for segment in EARLY} == EARLY


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_the_surveys_rules_find_the_true_segments(customers, tmp_path, step):
    """The survey's signals and rules give the segments that are calculated independently."""
    today = date(2026, 11, 24)
    survey = write_survey(tmp_path / "cdnow.toml", 1.0, today)
    shift = shift_to(today)
    for customer in customers[::step]:
        events = [Event("purchase", day + shift, {"usd": usd}) for day, usd in customer.purchases]
        signals = {name: signal.value(events, LOG_ENDS + shift) for name, signal in survey.signals.items()}
        for question in survey.asked:
            segment = question.segments[question.form.value(signals)]
            assert segment == customer.segments[question.id], (customer.id, question.id)


def test_the_moved_log_ends_in_an_epoch_that_a_collector_accepts(tmp_path):
    """On any day, the moved log keeps its weekdays, and ends in the past and in this week or the last."""
    week = EpochLength.WEEK
    for ordinal in range(date(2026, 1, 1).toordinal(), date(2028, 1, 1).toordinal()):
        today = date.fromordinal(ordinal)
        ends = LOG_ENDS + shift_to(today)
        assert ends.weekday() == LOG_ENDS.weekday()
        assert timedelta(1) <= today - ends <= timedelta(7)
        assert week.steps(ends, today) in (0, 1)
    assert write_survey(tmp_path / "cdnow.toml", 1.0, today).runs(today)


def test_equal_seeds_select_equal_customers():
    assert load_customers(100, 7) == load_customers(100, 7) != load_customers(100, 8)


def test_true_shares_sum_to_one(customers):
    """The shares of the first 1,000 customers sum to one."""
    assert sum(true_shares(customers[:1_000], "frequency").values()) == pytest.approx(1)
