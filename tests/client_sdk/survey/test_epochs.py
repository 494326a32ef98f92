from datetime import date, timedelta

import pytest

from hushtally.client_sdk.survey.epochs import EpochLength

DAY, WEEK, MONTH = EpochLength.DAY, EpochLength.WEEK, EpochLength.MONTH
DAYS = [date(2020, 1, 1) + timedelta(days=number) for number in range(13 * 366)]
DAYS = [day for day in DAYS if day.year <= 2032]


@pytest.mark.parametrize("length", list(EpochLength))
def test_label_start_end_and_next_agree_on_every_day_of_thirteen_years(length):
    """A day is between the start and the end of its epoch, and both have the same label as the day."""
    for day in DAYS:
        label = length.label(day)
        start, end = length.start(day), length.end(day)
        assert start <= day <= end
        assert length.first_day(label) == start
        assert length.label(start) == label == length.label(end)
        assert length.next(day) == length.next(start) == end + timedelta(days=1)
        assert length.label(length.next(day)) != label
        assert length.start(start) == start
        assert length.end(end) == end


@pytest.mark.parametrize("length", list(EpochLength))
def test_steps_count_the_epochs_between_days(length):
    """The number of steps is the number of times that the label changes. It is negative backwards."""
    for first in (DAYS[0], date(2020, 12, 31), date(2024, 2, 29), date(2026, 11, 2)):
        index = DAYS.index(first)
        count, last = 0, length.label(first)
        for day in DAYS[index:]:
            if length.label(day) != last:
                count, last = count + 1, length.label(day)
            assert length.steps(first, day) == count
            assert length.steps(day, first) == -count
            assert length.spanned(first, day) == count + 1


@pytest.mark.parametrize(
    ("length", "day", "label", "first", "last"),
    [
        (DAY, "2024-02-29", "2024-02-29", "2024-02-29", "2024-02-29"),
        (WEEK, "2026-11-02", "2026-W45", "2026-11-02", "2026-11-08"),
        (WEEK, "2020-12-31", "2020-W53", "2020-12-28", "2021-01-03"),
        (WEEK, "2021-01-03", "2020-W53", "2020-12-28", "2021-01-03"),
        (WEEK, "2021-01-04", "2021-W01", "2021-01-04", "2021-01-10"),
        (WEEK, "2024-12-30", "2025-W01", "2024-12-30", "2025-01-05"),
        (WEEK, "2027-01-03", "2026-W53", "2026-12-28", "2027-01-03"),
        (MONTH, "2024-02-29", "2024-02", "2024-02-01", "2024-02-29"),
        (MONTH, "2023-02-28", "2023-02", "2023-02-01", "2023-02-28"),
        (MONTH, "2026-12-31", "2026-12", "2026-12-01", "2026-12-31"),
        (MONTH, "0987-03-04", "0987-03", "0987-03-01", "0987-03-31"),
        (WEEK, "0987-03-04", "0987-W09", "0987-02-26", "0987-03-04"),
    ],
)
def test_known_epochs_have_the_expected_labels_and_days(length, day, label, first, last):
    """Leap years, weeks across New Year, years with 53 weeks, and years with three digits."""
    day = date.fromisoformat(day)
    assert length.label(day) == label
    assert str(length.start(day)) == first
    assert str(length.end(day)) == last


@pytest.mark.parametrize(
    ("length", "label", "message"),
    [
        (DAY, "2026-W45", "the label of a day must be like 2026-11-02, got '2026-W45'"),
        (DAY, "2026-11", "the label of a day must be like 2026-11-02, got '2026-11'"),
        (DAY, "20261102", "the label of a day must be like 2026-11-02, got '20261102'"),
        (DAY, "2026-11-02\n", "the label of a day must be like 2026-11-02, got '2026-11-02\\n'"),
        (WEEK, "2026-45", "the label of a week must be like 2026-W45, got '2026-45'"),
        (WEEK, "2026-w45", "the label of a week must be like 2026-W45, got '2026-w45'"),
        (WEEK, "2026-W45-1", "the label of a week must be like 2026-W45, got '2026-W45-1'"),
        (WEEK, "２０２６-W45", "the label of a week must be like 2026-W45, got '２０２６-W45'"),
        (MONTH, "2026-1", "the label of a month must be like 2026-11, got '2026-1'"),
        (MONTH, "2026-11-02", "the label of a month must be like 2026-11, got '2026-11-02'"),
        (MONTH, "", "the label of a month must be like 2026-11, got ''"),
        (DAY, "2026-02-29", None),
        (DAY, "0000-01-01", None),
        (WEEK, "2026-W54", None),
        (WEEK, "2025-W53", None),
        (WEEK, "2026-W00", None),
        (WEEK, "0000-W01", None),
        (WEEK, "9999-W53", None),
        (MONTH, "2026-13", None),
        (MONTH, "2026-00", None),
        (MONTH, "0000-01", None),
    ],
)
def test_an_invalid_label_is_a_value_error(length, label, message):
    """The label is of another length, has other digits, or states a day that does not exist."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - for days that do not exist, the message is Python's
        length.first_day(label)
    if message is not None:
        assert str(caught.value) == message
