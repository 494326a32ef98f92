"""`hushtally tune`: which epsilon gives which accuracy, before a single device has answered."""

from __future__ import annotations

from pathlib import Path

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.terminal import console, print_words
from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON, lag_warnings
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.cli.assumptions import Assumptions, assumption_options
from hushtally.simulations.cli.number_format import points
from hushtally.simulations.cli.option_types import Count, Number, Share, require_room, require_writable
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.presentation import Presentation, facts, presenting
from hushtally.simulations.cli.text_table import print_sheet
from hushtally.simulations.definition import Definition, write_epsilon
from hushtally.simulations.tune.forecast import Demand
from hushtally.simulations.tune.pictures import tuning_pictures
from hushtally.simulations.tune.tables import LEGEND, tuning_sheets
from hushtally.simulations.tune.tuning import GRID, Tuning
from hushtally.simulations.tune.tuning import tune as tune_survey


@click.command("tune", cls=Command)
@click.argument("file")
@assumption_options
@click.option(
    "--target",
    type=Share(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="How far, as a share, a segment's interval may reach on each side, per epoch.",
)
@click.option("--epochs", type=Count(1), help="Count what is revealed in so many epochs; all by default.")
@click.option(
    "--ceiling",
    type=Number(EPSILON_RANGE[0]),
    default=ADVISED_LIFETIME_EPSILON,
    show_default=True,
    help="The most that a device may reveal in all; `survey check` warns of more than the default.",
)
@click.option(
    "--epsilon",
    "grid",
    type=Number(*EPSILON_RANGE),
    multiple=True,
    help="An epsilon to look at, in place of the usual ones; may be repeated.",
)
@click.option("--write", is_flag=True, help="Set the recommended epsilon in FILE; comments are kept.")
@presenting
def tune(
    file: str,
    target: float,
    epochs: int | None,
    ceiling: float,
    grid: tuple[float, ...],
    write: bool,
    supposed: Assumptions,
    shown: Presentation,
) -> None:
    """Which epsilon gives which accuracy with so many devices.

    FILE is a survey. Questions that name their own epsilon keep it.
    """
    if write:
        require_writable(Path(file))
        require_room(Path(file), [Path(file).resolve().parent])
    definition = Definition.load(file)
    survey = definition.survey
    population = supposed.population(survey)
    demand = Demand(supposed.devices, supposed.participation, target, epochs, ceiling)
    found = tune_survey(definition, demand, population, grid or GRID)
    sheets, truth_is = tuning_sheets(found), population.described(survey)
    words = found.reason[0].upper() + found.reason[1:]
    drawn = tuning_pictures(definition, demand, found) if shown.drawn else []
    about = facts(survey, truth_is, supposed) | {
        "target": f"within {points(target)} each {survey.epoch}",
        "revealed": f"counted {found.span}; ceiling: {ceiling:g}",
    }
    title = f"{survey.name}: which epsilon, with {counted(supposed.devices, 'device')}"
    shown.write(Page(title, words, about, drawn, LEGEND, sheets))
    if write:
        _write(file, found, survey)
    if shown.as_table:
        out = console()
        print_words(f"{words}\n", out, "bold")
        for sheet in sheets:
            print_sheet(sheet, out)
        for name, meaning in LEGEND.items():
            print_words(f"{name}: {meaning}", out, "dim")
        print_words(f"Truth: {truth_is}.", out, "dim")
    else:
        shown.print_rows(found.rows)
        click.echo(words, err=True)
    shown.print_pictures(drawn)
    for line in lag_warnings(survey):
        click.echo(f"Warning: {line}", err=True)


def _write(file: str, found: Tuning, survey: Survey) -> None:
    epsilon = found.recommended
    if epsilon is None:
        raise click.ClickException(f"{file} was left as it is: {found.reason}")
    written = write_epsilon(file, epsilon)
    if written.digest == survey.digest:
        click.echo(f"{file} has this epsilon already", err=True)
    else:
        click.echo(
            f"wrote epsilon = {epsilon:g} to {file}; if version {survey.version} is in use, give it a new version",
            err=True,
        )
