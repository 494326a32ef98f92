"""`hushtally simulate`: a survey on devices whose answers are known."""

from __future__ import annotations

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.tables import MAX_SHOWN
from hushtally.aggregator.terminal import console, print_words
from hushtally.client_sdk.explain.advice import lag_warnings
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import CONFIDENCE
from hushtally.simulations.cli.assumptions import Assumptions, assumption_options, warned
from hushtally.simulations.cli.option_types import Count, ShapeName, Share
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.presentation import Presentation, facts, presenting
from hushtally.simulations.cli.progress import progress
from hushtally.simulations.cli.text_table import print_sheet
from hushtally.simulations.definition import Definition
from hushtally.simulations.population.population import SHAPES, Population
from hushtally.simulations.simulate import client_engine
from hushtally.simulations.simulate.pictures import simulation_pictures
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import ENGINES, steps
from hushtally.simulations.simulate.simulation import simulate as run_simulation
from hushtally.simulations.simulate.tables import LEGEND, concluded, outcome_sheets
from hushtally.simulations.simulate.tally_engine import forgetful

SHARE = Share(0, 1)


@click.command("simulate", cls=Command)
@click.argument("file")
@assumption_options
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default="tallies",
    show_default=True,
    help="Draw the tallies of up to 10^9 devices, or run the real client and collector for up to 200,000.",
)
@click.option("--repetitions", type=Count(1), default=1, show_default=True, help="How often to begin anew.")
@click.option("--epochs", type=Count(1), default=1, show_default=True, help="From the survey's first on.")
@click.option(
    "--then",
    type=ShapeName(or_file=True),
    metavar="SHAPE|FILE",
    help="The shares that those of --truth or --like move to by the last epoch.",
)
@click.option("--change", type=SHARE, default=0.0, help="Share of the devices whose answers are drawn anew per epoch.")
@click.option("--turnover", type=SHARE, default=0.0, help="Share of the devices that go per epoch, new ones coming.")
@click.option("--withdrawal", type=SHARE, default=0.0, help="Share of the owners that withdraw consent per epoch.")
@click.option("--seed", type=Count(0), default=0, show_default=True, help="The same seed, the same result.")
@presenting
def simulate(
    file: str,
    engine: str,
    repetitions: int,
    epochs: int,
    then: str | None,
    change: float,
    turnover: float,
    withdrawal: float,
    seed: int,
    supposed: Assumptions,
    shown: Presentation,
) -> None:
    """Run a survey on devices whose answers are known, and compare.

    FILE is a survey. Prints the estimates beside the truth, with several repetitions also their error and coverage.
    """
    survey = Definition.load(file).survey
    later = None if then is None else _named_or_read(then, survey)
    population, devices = supposed.population(survey), supposed.devices
    taking_part = supposed.participation
    scenario = Scenario(devices, population, later, epochs, taking_part, change, turnover, withdrawal)
    with progress(f"answers of {counted(devices, 'device')}", steps(survey, scenario, engine, repetitions)) as advance:
        found = run_simulation(survey, scenario, engine, repetitions, seed, progress=advance)
    if engine == "tallies" and forgetful(survey, scenario):
        click.echo(
            f"each epoch is drawn apart; --engine clients follows what up to {client_engine.MOST_DEVICES:,} devices"
            " remember between them",
            err=True,
        )
    truth_is = population.described(survey)
    if later is not None:
        truth_is += f"; by the last epoch drawn from {later.named(survey)}"
    words = concluded(found, CONFIDENCE)
    drawn = simulation_pictures(found) if shown.drawn else []
    about = facts(survey, truth_is, supposed)
    about |= {"simulated": f"engine {engine}, {repetitions:,} x, seed {seed}, epochs: {epochs}"}
    title = f"{survey.name}: simulated with {counted(devices, 'device')}"
    shown.write(Page(title, words, about, drawn, LEGEND, outcome_sheets(found)))
    if shown.as_table:
        out = console()
        for sheet in outcome_sheets(found, MAX_SHOWN):
            print_sheet(sheet, out)
        print_words(words, out)
        print_words(f"Truth: {truth_is}.", out, "dim")
    else:
        shown.print_rows(found)
    shown.print_pictures(drawn)
    for line in lag_warnings(survey):
        click.echo(f"Warning: {line}", err=True)


def _named_or_read(text: str, survey: Survey) -> Population:
    """A population by the name of a shape or, where that is none, in a file."""
    if text.partition(":")[0] in SHAPES:
        return Population.like(text)
    return warned(Population.read(text, survey))
