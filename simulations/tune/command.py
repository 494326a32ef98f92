"""The command `hushtally tune`, which forecasts the accuracy of each epsilon before any device has answered."""

from __future__ import annotations

from pathlib import Path

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.terminal import console, print_words
from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON, lag_warnings
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import require_writable_file
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_text
from hushtally.simulations.cli.assumptions import Assumptions, assumption_options
from hushtally.simulations.cli.number_format import margin
from hushtally.simulations.cli.option_types import Count, Number, Share
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.presentation import Presentation, page_facts, presentation_options
from hushtally.simulations.cli.text_table import TextTable, print_text_table
from hushtally.simulations.definition import Definition
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.pictures import tuning_pictures
from hushtally.simulations.tune.survey_editor import write_epsilon
from hushtally.simulations.tune.tables import LEGEND, tuning_tables
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
    help="Largest acceptable margin of error of any segment in one epoch (half the 95% interval), as a share.",
)
@click.option("--epochs", type=Count(1), help="Number of epochs that the lifetime epsilon covers; default: all.")
@click.option(
    "--ceiling",
    type=Number(EPSILON_RANGE[0]),
    default=ADVISED_LIFETIME_EPSILON,
    show_default=True,
    help="Largest acceptable lifetime epsilon of a device; `survey check` warns above the default.",
)
@click.option(
    "--epsilon",
    "grid",
    type=Number(*EPSILON_RANGE),
    multiple=True,
    help="Evaluate this epsilon instead of the default list; may be repeated.",
)
@click.option("--write", is_flag=True, help="Set the recommended epsilon in FILE; comments are kept.")
@presentation_options
def tune(
    file: str,
    target: float,
    epochs: int | None,
    ceiling: float,
    grid: tuple[float, ...],
    write: bool,
    assumptions: Assumptions,
    presentation: Presentation,
) -> None:
    """Forecast the accuracy of each epsilon, and recommend one.

    FILE is a survey file. The recommended epsilon is the smallest that meets --target within --ceiling. Questions that
    set their own epsilon keep it.
    """
    if write:
        require_writable_file(Path(file))
    definition = Definition.load(file)
    survey = definition.survey
    population = assumptions.population(survey)
    constraints = Constraints(assumptions.devices, assumptions.participation, target, epochs, ceiling)
    tuning = tune_survey(definition, constraints, population, grid or GRID, progress_bar)
    pictures, tables = [], tuning_tables(tuning)
    truth = population.description(survey)
    if presentation.needs_pictures:
        with progress_bar("Drawing the pictures", None):
            pictures = tuning_pictures(definition, constraints, tuning)
            facts = page_facts(survey, truth, assumptions) | {
                "target": f"{margin(target)} each {survey.epoch}",
                "lifetime epsilon": f"{tuning.period}; ceiling: {ceiling:g}",
            }
            title = f"{survey.name}: choosing epsilon with {counted(assumptions.devices, 'device')}"
            presentation.write(Page(title, tuning.reason, facts, pictures, LEGEND, tables))
    if write:
        _write(file, tuning, survey)
    if presentation.as_table:
        _print(tuning.reason, tables, truth)
    else:
        presentation.print_rows(tuning.rows)
        print_text(tuning.reason, err=True)
    presentation.print_pictures(pictures)
    for warning in lag_warnings(survey):
        print_text(f"Warning: {warning}", err=True)


def _print(reason: str, tables: list[TextTable], truth: str) -> None:
    """Print the recommendation, then the tables and their legend."""
    out = console()
    print_words(f"{reason}\n", out, "bold")
    for table in tables:
        print_text_table(table, out)
    for name, meaning in LEGEND.items():
        print_words(f"{name}: {meaning}", out, "dim")
    print_words(f"True shares: {truth}.", out, "dim")


def _write(file: str, tuning: Tuning, survey: Survey) -> None:
    """Set the recommended epsilon in the survey file; ClickException if there is none."""
    epsilon = tuning.recommended
    if epsilon is None:
        raise click.ClickException(f"{file} is unchanged, because no epsilon is recommended. {tuning.reason}")
    written = write_epsilon(file, epsilon)
    if written.digest == survey.digest:
        print_text(f"{file} already has epsilon = {epsilon:g}", err=True)
    else:
        print_text(
            f"wrote epsilon = {epsilon:g} to {file}; if version {survey.version} is already in use, raise the version",
            err=True,
        )
