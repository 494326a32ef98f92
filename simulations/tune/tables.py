"""What a tuning found, as sheets to read."""

from __future__ import annotations

from collections.abc import Sequence

from hushtally.aggregator.share_format import percent
from hushtally.client_sdk.explain.belief import PRIOR, format_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.accuracy import POWER
from hushtally.simulations.cli.number_format import half
from hushtally.simulations.cli.text_table import Sheet
from hushtally.simulations.tune.forecast import IN_ALL, Outlook
from hushtally.simulations.tune.tuning import Tuning

LEGEND = {
    "interval": "percentage points on each side of the widest segment, per epoch",
    "devices needed": "for the target",
    "told from 0": f"the smallest share that is, in {10 * POWER:g} of 10 epochs (by a one-sided 95% interval)",
    "shown": "how often the interval that is displayed lies above 0 then",
    "plain": "answers without privacy that tell as much",
    "lifetime": "epsilon of all reports of a device, in all or in as many epochs as it says",
    "every": "a device answers in one of so many epochs",
    "one report, all reports": f"how sure an observer, {PRIOR:.0%} sure of something beforehand, can be after them",
}


def tuning_sheets(tuning: Tuning) -> list[Sheet]:
    """What is revealed at every epsilon, what every question can be told at it, and the kinds of memory compared."""
    first = next(iter(tuning.outlooks.values()))
    sheets = [_overview(tuning)]
    for index, question in enumerate(first):
        about = f"{question.segments:,} segments, {counted(question.reports, 'report')} an epoch"
        sheets.append(_of_question(question.question, about, [rows[index] for rows in tuning.outlooks.values()]))
    return [*sheets, _memories(tuning)] if tuning.alternatives else sheets


def _overview(tuning: Tuning) -> Sheet:
    columns = ("epsilon", "interval", "devices needed", _lifetime(tuning), "one report", "all reports")
    rows = [
        (
            f"{epsilon:g}",
            _half_width(max(rows, key=lambda row: row.half_width)),
            f"{max(row.devices_for_target for row in rows):,}",
            f"{rows[0].lifetime_epsilon:g}",
            format_belief(max(row.belief_one_report for row in rows)),
            format_belief(rows[0].belief_lifetime),
        )
        for epsilon, rows in tuning.outlooks.items()
    ]
    stressed = None if tuning.recommended is None else list(tuning.outlooks).index(tuning.recommended)
    why = next(iter(tuning.refused.values()), "")
    remark = f"left out: {', '.join(f'{epsilon:g}' for epsilon in tuning.refused)}; {why}" if why else ""
    return Sheet("", "", columns, rows, stressed=stressed, remark=remark)


def _of_question(id: str, about: str, outlooks: Sequence[Outlook]) -> Sheet:
    columns = ("epsilon", "interval", "told from 0", "shown", "devices needed", "plain", "mechanism")
    rows = [
        (
            f"{row.question_epsilon:g}",
            _half_width(row),
            "none" if row.detectable_share is None else percent(row.detectable_share),
            "-" if row.power_displayed is None else f"{row.power_displayed:.0%}",
            f"{row.devices_for_target:,}",
            f"{row.plain_equivalent:,.0f}",
            row.mechanism,
        )
        for row in outlooks
    ]
    stressed = next((number for number, row in enumerate(outlooks) if row.recommended), None)
    return Sheet(id, about, columns, rows, ("mechanism",), stressed)


def _memories(tuning: Tuning) -> Sheet:
    columns = ("memory", "every", "interval", _lifetime(tuning), "all reports", "protects")
    rows = [
        (
            rows[0].memory,
            f"{rows[0].answers_every}",
            _half_width(max(rows, key=lambda row: row.half_width)),
            f"{rows[0].lifetime_epsilon:g}",
            format_belief(rows[0].belief_lifetime),
            rows[0].protects,
        )
        for rows in tuning.alternatives
    ]
    own = next(iter(tuning.outlooks.values()))[0].memory
    remark = "; ".join(
        f"permanent: with epsilon_permanent = {survey.privacy.epsilon_permanent:g} and changes ="
        f" {survey.privacy.changes}{'' if own == survey.privacy.memory else ', supposed: the survey names neither'}"
        for survey in tuning.compared
        if survey.permanent
    )
    about = f"at epsilon {tuning.alternatives[0][0].epsilon:g}"
    return Sheet("memory and answers_every", about, columns, rows, ("memory", "protects"), remark=remark)


def _lifetime(tuning: Tuning) -> str:
    return "lifetime" if tuning.span == IN_ALL else tuning.span


def _half_width(row: Outlook) -> str:
    return half(row.half_width) if row.published else "too few"
