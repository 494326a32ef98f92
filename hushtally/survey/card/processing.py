"""The sections of a card that describe the data and the questions."""

from __future__ import annotations

from hushtally.client_sdk.explain.data_use import describe_signal, sent_data, stored_data
from hushtally.client_sdk.explain.segments import describe_segments
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Items, Paragraph, Section, Table
from hushtally.survey.card.field import DEVICE
from hushtally.survey.card.place import describe_device, storage


def data_section(survey: Survey, context: Context) -> Section:
    """What is stored where and how long, what is computed, and what is sent."""
    rows = [(field.title, context.answer(field)) for field in DEVICE.fields]
    signals = [(name, describe_signal(signal)) for name, signal in survey.signals.items()]
    cohorts = [(name, ", ".join(values)) for name, values in survey.cohorts.items()]
    cohorts = cohorts or [("none", "the survey has no cohorts")]  # no table of the card is empty
    return Section(
        DEVICE.title,
        (
            Paragraph("The app records events on the device and sets the cohorts. Nothing comes from another source."),
            Paragraph(describe_device(context.device)),
            Paragraph(f"Stored on {storage(context.device)} and never sent:"),
            Items(stored_data(survey)),
            Table("Computed on the device", ("Signal", "Computed as"), signals),
            Paragraph("Sent:"),
            Items(sent_data(survey)),
            Table("Cohorts: sent with every answer, not randomized", ("Cohort", "Values"), cohorts),
            Table("What is stored where, and how long", ("Where", "What", "How long"), _storage(survey, context)),
            Table(f"{DEVICE.title}, as answered", ("Question", "Answer"), rows),
        ),
    )


def questions_section(survey: Survey) -> Section:
    """Every question in full."""
    rows = [
        (
            f"{question.name}, asked only in combination" if question.only_crossed else question.name,
            describe_segments(question.form),
        )
        for question in survey.questions
    ]
    return Section("Questions", (Table("Every question", ("Question", "Segments, and who is in them"), rows),))


def _storage(survey: Survey, context: Context) -> list[tuple[str, str, str]]:
    where, epoch = storage(context.device).capitalize(), survey.epoch
    last = survey.erased_on(epoch.label(survey.ends))
    permanent = [(where, "every answer and its randomized form (permanent memory)", "until the survey ends")]
    return [
        (where, "recorded events, in plain form", f"at most {counted(survey.longest_window, 'day')}, or a withdrawal"),
        *(permanent if survey.permanent else []),
        (where, "randomized answers that wait to be sent", f"until they are delivered or the next {epoch} ends"),
        (
            where,
            f"consents and withdrawals, the questions and {epoch}s that were drawn, and the epsilon spent",
            "as long as the app keeps its state file",
        ),
        (
            "The collector's database",
            f"how often each symbol came, by question, {epoch} and cohorts",
            f"reports of a {epoch} are accepted until the next {epoch} ends; counts are deleted"
            f" {counted(survey.retention_days, 'day')} later, the last of them on {last}",
        ),
        (
            "The collector's database",
            "of each batch the random id, the reply and the day of deletion",
            f"until reports of the {epoch} are no longer accepted (after one to two {epoch}s)",
        ),
    ]
