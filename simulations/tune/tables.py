"""Tables of the results of tune."""

from __future__ import annotations

from collections.abc import Sequence

from hushtally.aggregator.share_format import percent
from hushtally.client_sdk.explain.belief import PRIOR, format_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.accuracy import CONFIDENCE, POWER
from hushtally.simulations.cli.number_format import plus_minus
from hushtally.simulations.cli.text_table import TextTable
from hushtally.simulations.tune.constraints import WHOLE_SURVEY
from hushtally.simulations.tune.forecast import Forecast
from hushtally.simulations.tune.tuning import Tuning

LEGEND = {
    "interval": f"half the {CONFIDENCE:.0%} interval of the widest segment in one epoch, in percentage points",
    "devices needed": "number of devices that meet the target",
    "detectable": f"smallest share that is distinguishable from zero in {10 * POWER:g} of 10 epochs"
    f" (one-sided {CONFIDENCE:.0%} interval)",
    "power": "how often the displayed interval, which is two-sided, lies above zero at this share",
    "plain": "number of answers without randomization that are equally accurate",
    "lifetime": "epsilon of all reports of one device together, over the whole survey or the period shown",
    "every": "a device answers once in this many epochs (answers_every)",
    "one report, all reports": f"how sure an observer, who was {PRIOR:.0%} sure of something, can be after seeing them",
}


def tuning_tables(tuning: Tuning) -> list[TextTable]:
    """Return tables: an overview of the epsilons, one table for each question, and a comparison of kinds of memory."""
    first = next(iter(tuning.forecasts.values()))
    tables = [_overview(tuning)]
    for index, row in enumerate(first):
        subtitle = f"{row.segments:,} segments, {counted(row.reports, 'report')} per epoch"
        tables.append(_question_table(row.question, subtitle, [rows[index] for rows in tuning.forecasts.values()]))
    return [*tables, _memory_table(tuning)] if tuning.alternatives else tables


def _overview(tuning: Tuning) -> TextTable:
    columns = ("epsilon", "interval", "devices needed", _lifetime_heading(tuning), "one report", "all reports")
    rows = [
        (
            f"{epsilon:g}",
            _interval(max(rows, key=lambda row: row.half_width)),
            f"{max(row.devices_for_target for row in rows):,}",
            f"{rows[0].lifetime_epsilon:g}",
            format_belief(max(row.belief_one_report for row in rows)),
            format_belief(rows[0].belief_lifetime),
        )
        for epsilon, rows in tuning.forecasts.items()
    ]
    highlighted = None if tuning.recommended is None else list(tuning.forecasts).index(tuning.recommended)
    reason = next(iter(tuning.skipped.values()), "")
    skipped = ", ".join(f"{epsilon:g}" for epsilon in tuning.skipped)
    return TextTable(
        "", "", columns, rows, highlighted=highlighted, footnote=f"skipped: {skipped}; {reason}" if reason else ""
    )


def _question_table(id: str, subtitle: str, forecasts: Sequence[Forecast]) -> TextTable:
    columns = ("epsilon", "interval", "detectable", "power", "devices needed", "plain", "mechanism")
    rows = [
        (
            f"{row.question_epsilon:g}",
            _interval(row),
            "none" if row.detectable_share is None else percent(row.detectable_share),
            "-" if row.power_displayed is None else f"{row.power_displayed:.0%}",
            f"{row.devices_for_target:,}",
            f"{row.plain_equivalent:,.0f}",
            row.mechanism,
        )
        for row in forecasts
    ]
    highlighted = next((number for number, row in enumerate(forecasts) if row.recommended), None)
    return TextTable(id, subtitle, columns, rows, ("mechanism",), highlighted)


def _memory_table(tuning: Tuning) -> TextTable:
    columns = ("memory", "every", "interval", _lifetime_heading(tuning), "all reports", "protects")
    rows = [
        (
            rows[0].memory,
            f"{rows[0].answers_every}",
            _interval(max(rows, key=lambda row: row.half_width)),
            f"{rows[0].lifetime_epsilon:g}",
            format_belief(rows[0].belief_lifetime),
            rows[0].protects,
        )
        for rows in tuning.alternatives
    ]
    own = next(iter(tuning.forecasts.values()))[0].memory
    footnote = "; ".join(
        f"permanent: epsilon_permanent = {survey.privacy.epsilon_permanent:g} and changes ="
        f" {survey.privacy.changes}{'' if own == survey.privacy.memory else ' (assumed, not set in the survey)'}"
        for survey in tuning.compared
        if survey.permanent
    )
    subtitle = f"at epsilon {tuning.alternatives[0][0].epsilon:g}"
    text_columns = ("memory", "protects")
    return TextTable("memory and answers_every", subtitle, columns, rows, text_columns, footnote=footnote)


def _lifetime_heading(tuning: Tuning) -> str:
    return "lifetime" if tuning.period == WHOLE_SURVEY else tuning.period


def _interval(row: Forecast) -> str:
    return plus_minus(row.half_width) if row.published else "too few"
