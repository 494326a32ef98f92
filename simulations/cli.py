"""`hushtally tune`, `simulate` and `audit`: what a survey can tell and reveals, before a single device has answered."""

from __future__ import annotations

import math

import click

from simulations.definition import Definition
from simulations.formats import console, print_tuning, to_csv, to_json
from simulations.outlook import PRIOR, Demand
from simulations.population import Population, Shape
from simulations.tune import GRID
from simulations.tune import tune as tune_survey

LEGEND = (
    "interval: percentage points on each side of the widest segment, per epoch. devices needed: for the target. "
    "told from 0: the smallest share that is, with power 80% (lower end of the one-sided 95% interval above 0); shown: "
    "how often the interval that is displayed lies above 0 then. as plain: answers without privacy that tell as much. "
    f"lifetime: epsilon of all reports of a device. one report, all reports: how sure an observer, {PRIOR:.0%} sure of "
    "something beforehand, can be after them."
)
FORMATS = click.Choice(["table", "json", "csv"])


@click.command("tune")
@click.argument("survey")
@click.option("--devices", type=click.IntRange(min=1), required=True, help="How many devices hold the app.")
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="How far, as a share, a segment's interval may reach on each side, per epoch.",
)
@click.option(
    "--participation",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="The share of the devices that take part.",
)
@click.option(
    "--like",
    default="zipf:1",
    show_default=True,
    metavar="SHAPE",
    help="How customers spread over segments: uniform, zipf:S or geometric:R.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Count what is revealed in so many epochs; all by default.")
@click.option("--ceiling", type=click.FloatRange(0, min_open=True), help="The most that a device may reveal in all.")
@click.option(
    "--epsilon",
    "grid",
    type=click.FloatRange(0.01, 8),
    multiple=True,
    help="An epsilon to look at, in place of the usual ones; may be repeated.",
)
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def tune(
    survey: str,
    devices: int,
    target: float,
    participation: float,
    like: str,
    epochs: int | None,
    ceiling: float | None,
    grid: tuple[float, ...],
    form: str,
) -> None:
    """Which epsilon gives which accuracy with so many devices.

    SURVEY is a survey file. Questions that name their own epsilon keep it.
    """
    definition = Definition.load(survey)
    demand = Demand(devices, participation, target, epochs, math.inf if ceiling is None else ceiling)
    population = Population(Shape.parse(like), {})
    found = tune_survey(definition, demand, population, grid or GRID)
    if form == "json":
        click.echo(to_json(found.rows), nl=False)
    elif form == "csv":
        click.echo(to_csv(found.rows), nl=False)
    else:
        out = console()
        print_tuning(found, out)
        out.print(f"\n{LEGEND}\n", style="dim")
    click.echo(found.reason[0].upper() + found.reason[1:], err=form != "table")
