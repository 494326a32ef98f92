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
def test_counts_are_erased_after_the_last_report_was_accepted(length, epoch, last, erased):
    """One full day passes between them, so that no report is added to an epoch while it is erased."""
    retention = Retention(length, 1)
    assert retention.accepted_until(length.first_day(epoch)) == last
    assert retention.erased_on(epoch) == erased


def test_the_retention_is_readable_in_an_otherwise_unreadable_definition():
    assert Retention.stated({"epoch": "week", "retention_days": 180, "privacy": "?"}) == Retention(WEEK, 180)


@pytest.mark.parametrize("definition", [{}, {"epoch": "week"}, {"epoch": "year", "retention_days": 1}, []])
def test_a_definition_without_a_retention_is_an_error(definition):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Retention.stated(definition)
