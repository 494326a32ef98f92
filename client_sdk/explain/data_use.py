"""What a device stores, computes and sends, in sentences for the customer ("you")."""

from __future__ import annotations

from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.signals import Function, Signal

DEVICE = "The device is the machine with this data: your own, or the operator's if you use a web shop or a kiosk."
# the one wording of this fact, for every text that states it; collector/vacuum.py has the reason
ARRIVAL_ORDER = (
    "The order of arrival is gone as soon as the collector's write-ahead log is emptied (every 10 seconds) and its file"
    " is rebuilt (up to 1 MB at the same time, otherwise normally within an hour)."
)

_SIGNALS = {
    Function.COUNT: "the number of {} events",
    Function.SUM: "the sum of {}",
    Function.DAYS_SINCE: "the days since the last {} event",
    Function.TOP: "the most frequent {}",
    Function.DISTINCT: "the number of different values of {}",
}


def stored_data(survey: Survey) -> list[str]:
    """The events and fields that a device stores, and for how long; with permanent memory also its answers."""
    fields: dict[str, set[str]] = {}
    longest: dict[str, int] = {}
    for signal in survey.signals.values():
        fields.setdefault(signal.event, set()).update([signal.field] if signal.field else [])
        longest[signal.event] = max(signal.days, longest.get(signal.event, 0))
    lines = [
        f"{event}: the day{''.join(f', {field}' for field in sorted(fields[event]))};"
        f" for at most {counted(days, 'day')}."
        for event, days in longest.items()
    ]
    if survey.permanent:
        lines.append("Every answer and its randomized form; stored until the survey ends.")
    return lines


def computed_signals(survey: Survey) -> list[str]:
    """Every signal that a device computes from the stored events."""
    return [f"{name}: {describe_signal(signal)}." for name, signal in survey.signals.items()]


def describe_signal(signal: Signal) -> str:
    """A signal in words, like "the sum of purchase.amount in the last 90 days"."""
    window = "on the day of the answer" if signal.days == 1 else f"in the last {signal.days} days"
    return f"{_SIGNALS[signal.function].format(signal.source)} {window}"


def sent_data(survey: Survey) -> list[str]:
    """Everything that a device sends, how often, and what the collector stores of it."""
    cohorts = ", ".join(f"{name} ({', '.join(values)})" for name, values in survey.cohorts.items())
    together = f"; the answers of one {survey.epoch} are sent together"
    return [
        _schedule(survey),
        "Each answer is randomized on the device and sent as one number"
        f"{together if survey.privacy.questions_per_device > 1 else ''}.",
        f"Sent with it, not randomized: about you, {cohorts or 'nothing'}; about the answer, survey, version,"
        f" digest, question, {survey.epoch}, and a random number for the delivery.",
        "The server sees the device's network address. The collector stores no address and no time of arrival."
        f" {ARRIVAL_ORDER}",
    ]


def _schedule(survey: Survey) -> str:
    """Which questions a device answers and when; which of both is drawn at random."""
    questions, each = len(survey.asked), survey.privacy.questions_per_device
    every = survey.privacy.answers_every
    asked = "every question" if questions > 1 else "the question"
    if each < questions:
        asked = f"{each} of the {questions} questions"
    pace = f" every {survey.epoch}," if survey.epochs > 1 else ""
    if every > 1:
        pace = f" in one {survey.epoch} out of {every},"
    times = "once" if survey.answers == 1 else f"{survey.answers} times"
    drawn = " and ".join(["which"] * (each < questions) + ["when"] * (every > 1))
    chance = f" Chance decides {drawn}, not what you do." if drawn else " This does not depend on what you do."
    return f"The device answers {asked}{pace} at most {times}{' each' if each > 1 else ''}.{chance}"


def data_after_withdrawal(survey: Survey) -> str:
    """What a device still stores after a withdrawal."""
    return (
        f"Afterwards the device still stores when you withdrew, its questions and {survey.epoch}s, which it answered,"
        " and the epsilon spent."
    )
