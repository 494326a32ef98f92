from datetime import date

import pytest

from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.retention import Retention

DAY, WEEK, MONTH = EpochLength.DAY, EpochLength.WEEK, EpochLength.MONTH


@pytest.mark.parametrize(
    ("length", "epoch", "last", "erased"),
    [
        (DAY, "2026-12-31", date(2027, 1, 1), date(2027, 1, 3)),
        (WEEK, "2026-W53", date(2027, 1, 10), date(2027, 1, 12)),
        (MONTH, "2026-12", date(2027, 1, 31), date(2027, 2, 2)),
    ],
)
def test_counts_outlive_the_last_report_that_is_accepted(length, epoch, last, erased):
    """Kept for one day after the day of the last report: no report is added to an epoch that was begun to be erased."""
    retention = Retention(length, 1)
    assert retention.accepted_until(length.first_day(epoch)) == last
    assert retention.erased_on(epoch) == erased


def test_a_definition_that_nothing_else_can_be_read_of_still_states_it():
    assert Retention.stated({"epoch": "week", "retention_days": 180, "privacy": "?"}) == Retention(WEEK, 180)


@pytest.mark.parametrize("definition", [{}, {"epoch": "week"}, {"epoch": "year", "retention_days": 1}, []])
def test_what_does_not_state_it_is_no_retention(definition):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Retention.stated(definition)
