"""What a device stores, computes and sends, in words."""

import pytest

from hushtally import Survey
from hushtally.client_sdk.explain.data_use import (
    ARRIVAL_ORDER,
    computed_signals,
    data_after_withdrawal,
    sent_data,
    stored_data,
)


@pytest.mark.parametrize(
    ("shape", "schedule"),
    [
        ({}, "the question every day, at most 20 times. This does not depend on what you do."),
        ({"ends": "2026-11-02"}, "the question at most once. This does not depend on what you do."),
        (
            {"every": 20},
            "the question in one day out of 20, at most once. Chance decides when, not what you do.",
        ),
        ({"questions": 2}, "every question every day, at most 20 times each. This does not depend on what you do."),
        (
            {"questions": 2, "every": 4},
            "every question in one day out of 4, at most 5 times each. Chance decides when, not what you do.",
        ),
        (
            {"questions": 3, "each": 1},
            "1 of the 3 questions every day, at most 20 times. Chance decides which, not what you do.",
        ),
        (
            {"questions": 3, "each": 2, "every": 4},
            "2 of the 3 questions in one day out of 4, at most 5 times each. Chance decides which and when, not"
            " what you do.",
        ),
    ],
)
def test_the_schedule_names_what_is_drawn_at_random(lab, shape, schedule):
    """It never depends on what the customer did."""
    assert sent_data(lab.survey(**shape))[0] == f"The device answers {schedule}"


def test_answers_of_one_delivery_are_said_to_be_sent_together(lab):
    randomized = "Each answer is randomized on the device and sent as one number"
    assert sent_data(lab.survey(questions=2))[1] == f"{randomized}; the answers of one day are sent together."
    assert sent_data(lab.survey(questions=2, each=1))[1] == f"{randomized}."


def test_everything_that_is_sent_unrandomized_is_named(lab):
    about = "about the answer, survey, version, digest, question, day, and a random number for the delivery."
    assert sent_data(lab.survey())[2] == f"Sent with it, not randomized: about you, platform (web, ios); {about}"
    without = Survey.parse(lab.text().replace('platform = ["web", "ios"]', ""))
    assert sent_data(without)[2] == f"Sent with it, not randomized: about you, nothing; {about}"


def test_what_the_server_sees_and_the_collector_stores_is_named(lab):
    assert sent_data(lab.survey())[3] == (
        "The server sees the device's network address. The collector stores no address and no time of arrival."
        f" {ARRIVAL_ORDER}"
    )


def test_every_signal_is_described_in_words(lab):
    more = (
        '[signals]\nidle = { days_since = "purchase", days = 1 }\nkinds = { distinct = "purchase.category", days = 2 }'
    )
    assert computed_signals(Survey.parse(lab.text().replace("[signals]", more))) == [
        "idle: the days since the last purchase event on the day of the answer.",
        "kinds: the number of different values of purchase.category in the last 2 days.",
        "orders: the number of purchase events in the last 5 days.",
        "spend: the sum of purchase.amount in the last 5 days.",
        "favourite: the most frequent purchase.category in the last 5 days.",
    ]


def test_each_event_is_stored_as_long_as_its_own_signals_need(lab):
    """The longest window among the signals of the event, not of another event."""
    more = '[signals]\nidle = { days_since = "visit", days = 1 }\nfirst = { count = "purchase", days = 2 }'
    assert stored_data(Survey.parse(lab.text().replace("[signals]", more))) == [
        "visit: the day; for at most 1 day.",
        "purchase: the day, amount, category; for at most 5 days.",
    ]


def test_permanent_answers_are_stored_data(lab):
    assert stored_data(lab.survey(memory="permanent"))[1] == (
        "Every answer and its randomized form; stored until the survey ends."
    )


def test_what_a_device_stores_after_a_withdrawal_is_named(lab):
    """The sentence names everything that the state file then holds of the device."""
    survey = lab.survey(questions=2, each=1, every=2)
    client = lab.client(survey)
    client.record("purchase", amount=1.0)
    lab.live(client, 4)
    client.withdraw_consent()
    assert data_after_withdrawal(survey) == (
        "Afterwards the device still stores when you withdrew, its questions and days, which it answered, and the"
        " epsilon spent."
    )
    tables = [name for (name,) in lab.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    stored = {name for name in tables if lab.rows(f"SELECT count(*) FROM {name}") != [(0,)]}
    assert stored - {"file", "devices"} == {"consents", "schedules", "ledger"}
