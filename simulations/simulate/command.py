"""The command `hushtally simulate`, which runs a survey on devices whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.tables import MAX_SHOWN
from hushtally.aggregator.terminal import console, print_words
from hushtally.client_sdk.explain.advice import lag_warnings
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_text
from hushtally.simulations.accuracy import CONFIDENCE
from hushtally.simulations.cli.assumptions import Assumptions, assumption_options, load
from hushtally.simulations.cli.option_types import Count, ShapeName, Share
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.cli.presentation import Presentation, page_facts, presentation_options
from hushtally.simulations.cli.text_table import print_text_table
from hushtally.simulations.definition import Definition
from hushtally.simulations.population.population import Population
from hushtally.simulations.population.shape import SHAPES
from hushtally.simulations.simulate import client_engine, permanent_memory
from hushtally.simulations.simulate.pictures import simulation_pictures
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import ENGINES, Outcome, progress_steps
from hushtally.simulations.simulate.simulation import simulate as run_simulation
from hushtally.simulations.simulate.tables import LEGEND, coverage_summary, outcome_tables
from hushtally.simulations.simulate.tally_engine import ignores_permanent_memory

SHARE = Share(0, 1)


@click.command("simulate", cls=Command)
@click.argument("file")
@assumption_options
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default="tallies",
    show_default=True,
    help="Draw the counts of up to 10^9 devices, or run the real client and collector for up to 200,000.",
)
@click.option("--repetitions", type=Count(1), default=1, show_default=True, help="Number of independent runs.")
@click.option(
    "--epochs", type=Count(1), default=1, show_default=True, help="Number of epochs, from the first of the survey."
)
@click.option(
    "--then",
    type=ShapeName(or_file=True),
    metavar="SHAPE|FILE",
    help="Shares of new answers in the last epoch; the shares move there in equal steps from --truth or --like.",
)
@click.option("--change", type=SHARE, default=0.0, help="Share of the devices whose answers are redrawn each epoch.")
@click.option("--turnover", type=SHARE, default=0.0, help="Share of the devices that new devices replace each epoch.")
@click.option("--withdrawal", type=SHARE, default=0.0, help="Share of the owners who withdraw consent each epoch.")
@click.option("--seed", type=Count(0), default=0, show_default=True, help="Equal seeds give equal results.")
@presentation_options
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
    assumptions: Assumptions,
    presentation: Presentation,
) -> None:
    """Simulate a survey, and compare the estimates with the true shares.

    FILE is a survey file. The true shares come from --truth or --like. With several repetitions, the tables also show
    the error and the coverage.
    """
    survey = Definition.load(file).survey
    later = None if then is None else _later_population(then, survey)
    population, devices = assumptions.population(survey), assumptions.devices
    participation = assumptions.participation
    scenario = Scenario(devices, population, later, epochs, participation, change, turnover, withdrawal)
    steps = progress_steps(survey, scenario, engine, repetitions)
    with progress_bar(f"Simulating {counted(devices, 'device')}", steps) as advance:
        outcomes = run_simulation(survey, scenario, engine, repetitions, seed, progress=advance)
    if engine == "tallies" and ignores_permanent_memory(survey, scenario):
        _note_ignored_memory()
    truth = population.description(survey)
    if later is not None:
        truth += f"; by the last epoch, new answers follow: {later.source_description(survey)}"
    pictures: Sequence[Picture] = []
    if presentation.needs_pictures:
        facts = page_facts(survey, truth, assumptions)
        facts["simulation"] = f"engine: {engine}; repetitions: {repetitions:,}; seed: {seed}; epochs: {epochs}"
        with progress_bar("Drawing the pictures", None):
            page = _page(outcomes, facts, f"{survey.name}: simulation with {counted(devices, 'device')}")
            pictures = page.pictures
            presentation.write(page)
    if presentation.as_table:
        _print(outcomes, truth)
    else:
        presentation.print_rows(outcomes)
    presentation.print_pictures(pictures)
    for warning in lag_warnings(survey):
        print_text(f"Warning: {warning}", err=True)


def _page(outcomes: list[Outcome], facts: Mapping[str, str], title: str) -> Page:
    summary, pictures = coverage_summary(outcomes, CONFIDENCE), simulation_pictures(outcomes)
    return Page(title, summary, facts, pictures, LEGEND, outcome_tables(outcomes))


def _print(outcomes: list[Outcome], truth: str) -> None:
    """Print the tables, then the coverage in words."""
    out = console()
    for table in outcome_tables(outcomes, MAX_SHOWN):
        print_text_table(table, out)
    print_words(coverage_summary(outcomes, CONFIDENCE), out)
    print_words(f"True shares: {truth}.", out, "dim")


def _note_ignored_memory() -> None:
    print_text(
        "Note: each epoch is simulated independently, because the tally engine can follow permanent memory only for up"
        f" to {permanent_memory.MAX_DEVICES:,} devices, and not for sue, oue and rappor. Use --engine clients (up to"
        f" {client_engine.MAX_DEVICES:,} devices) to include it.",
        err=True,
    )


def _later_population(text: str, survey: Survey) -> Population:
    """The population with the named shape or, if it is not a shape, from the file."""
    if text.partition(":")[0] in SHAPES:
        return Population.from_shape(text)
    return load(Path(text), survey)
