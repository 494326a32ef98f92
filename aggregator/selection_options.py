"""The options that every statistic of `hushtally estimate` has: what is estimated, and how it is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hushtally.aggregator.estimate import CONFIDENCE_RANGE, POPULATIONS

_OPTIONS = (
    click.argument("survey"),
    click.option("--question", "questions", multiple=True, metavar="ID", help="Only this question. Repeatable."),
    click.option(
        "--epoch", "epochs", multiple=True, metavar="EPOCH", help="Only this epoch, for example 2026-W48. Repeatable."
    ),
    click.option(
        "--by", multiple=True, metavar="COHORT", help="Separate estimates for each value of a cohort. Repeatable."
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(*CONFIDENCE_RANGE),
        default=0.95,
        show_default=True,
        help="How often an interval contains the true share.",
    ),
    click.option(
        "--population",
        type=click.Choice(POPULATIONS),
        default="customers",
        show_default=True,
        help="Whose shares: those of all customers, or of the respondents only.",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="The format of the output.",
    ),
    click.option(
        "--database",
        metavar="FILE",
        envvar="HUSHTALLY_DATABASE",
        default="./hushtally.db",
        show_default=True,
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="The collector's database.",
    ),
)


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add SURVEY and the options. The function receives survey, database, form and the arguments of a Selection."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
