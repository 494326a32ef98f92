"""`hushtally tune`, `simulate` and `audit`: what a survey can tell and reveals, before a single device has answered."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from aggregator.formats import MOST_SHOWN, to_csv, to_json
from client_sdk.mechanisms.base import EPSILON_RANGE
from client_sdk.survey import Survey
from simulations.audit import METHODS, TRIALS
from simulations.audit import audit as audit_survey
from simulations.certificate import Finding
from simulations.crowd import forgetful
from simulations.definition import Definition, write_epsilon
from simulations.drawing import to_png, to_svg, to_text
from simulations.formats import (
    SIMULATION_LEGEND,
    TUNING_LEGEND,
    concluded,
    console,
    outcome_sheets,
    tuning_sheets,
)
from simulations.numerals import counted, points
from simulations.option_types import Count, NewFile, NewFolder, ShapeName, Share, require_room, require_writable
from simulations.outlook import Demand
from simulations.page import to_html
from simulations.pictures import Picture, simulation_pictures, tuning_pictures
from simulations.planning import CONFIDENCE
from simulations.population import DEFAULT_SHAPE, SHAPES, Population
from simulations.scenario import MOST_DEVICES, Scenario
from simulations.sheet import print_sheet, print_words
from simulations.simulate import ENGINES, steps
from simulations.simulate import simulate as run_simulation
from simulations.tune import GRID
from simulations.tune import tune as tune_survey

SHARE = Share(0, 1)
DEVICES = Count(1, MOST_DEVICES)
OUTPUTS = ("output", "pictures", "draw", "form", "write")  # options that change no figure

Command = Callable[..., Any]


def common(command: Command) -> Command:
    """The options that tune and simulate share."""
    options = [
        click.option(
            "--truth",
            type=click.Path(path_type=Path),
            help="The shares: JSON, CSV (question, segment, share) or a log of events (device, day, event, ...).",
        ),
        click.option(
            "--like",
            type=ShapeName(),
            default=DEFAULT_SHAPE,
            show_default=True,
            metavar="SHAPE",
            help="How customers spread over segments otherwise: uniform, zipf:S or geometric:R.",
        ),
        click.option(
            "--participation",
            type=Share(0, 1, min_open=True),
            default=1.0,
            show_default=True,
            help="The share of the devices that take part.",
        ),
        click.option(
            "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
        ),
    ]
    options += [
        click.option("--output", type=NewFile(), help="Write all of it, with pictures, as one page (page.html)."),
        click.option("--pictures", type=NewFolder(), help="Write the pictures into this folder, as SVG and PNG."),
        click.option("--draw", is_flag=True, help="Show the pictures in the terminal."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("tune")
@click.argument("file")
@click.option("--devices", type=DEVICES, required=True, help="How many devices hold the app.")
@click.option(
    "--target",
    type=Share(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="How far, as a share, a segment's interval may reach on each side, per epoch.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Count what is revealed in so many epochs; all by default.")
@click.option("--ceiling", type=click.FloatRange(0, min_open=True), help="The most that a device may reveal in all.")
@click.option(
    "--epsilon",
    "grid",
    type=click.FloatRange(*EPSILON_RANGE),
    multiple=True,
    help="An epsilon to look at, in place of the usual ones; may be repeated.",
)
@click.option("--write", is_flag=True, help="Set the recommended epsilon in FILE; comments are kept.")
@common
def tune(
    file: str,
    devices: int,
    target: float,
    epochs: int | None,
    ceiling: float | None,
    grid: tuple[float, ...],
    write: bool,
    truth: Path | None,
    like: str,
    participation: float,
    form: str,
    output: Path | None,
    pictures: Path | None,
    draw: bool,
) -> None:
    """Which epsilon gives which accuracy with so many devices.

    FILE is a survey. Questions that name their own epsilon keep it.
    """
    if write:
        require_writable(Path(file))
        require_room(Path(file), [Path(file).resolve().parent])
    definition = Definition.load(file)
    population = _population(truth, like, definition.survey)
    demand = Demand(devices, participation, target, epochs, math.inf if ceiling is None else ceiling)
    found = tune_survey(definition, demand, population, grid or GRID)
    sheets, truth_is = tuning_sheets(found), population.described(definition.survey)
    words = found.reason[0].upper() + found.reason[1:]
    drawn = tuning_pictures(definition, demand, found) if output or pictures or draw else []
    if output:
        title = f"{definition.survey.name}: which epsilon, with {counted(devices, 'device')}"
        facts = _facts(definition.survey, truth_is, devices, participation)
        facts |= {
            "target": f"within {points(target)} each {definition.survey.epoch}",
            "revealed": f"counted {found.span}; ceiling: {'none' if ceiling is None else f'{ceiling:g}'}",
        }
        output.write_text(to_html(title, words, facts, drawn, TUNING_LEGEND, sheets), encoding="utf-8")
    if pictures:
        _write_pictures(drawn, pictures)
    if form == "table":
        out = console()
        print_words(f"{words}\n", out, "bold")
        for sheet in sheets:
            print_sheet(sheet, out)
        for name, meaning in TUNING_LEGEND.items():
            print_words(f"{name}: {meaning}", out, "dim")
        print_words(f"Truth: {truth_is}.", out, "dim")
    else:
        _echo(found.rows, form)
        click.echo(words, err=True)
    if draw:
        _draw(drawn, form)
    if write:
        _write(file, found.recommended, definition.survey)


@click.command("simulate")
@click.argument("file")
@click.option("--devices", type=DEVICES, required=True, help="How many devices hold the app.")
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default="tallies",
    show_default=True,
    help="Draw the tallies of up to 10^9 devices, or run the real client and collector for up to 200,000.",
)
@click.option("--repetitions", type=Count(min=1), default=1, show_default=True, help="How often to begin anew.")
@click.option("--epochs", type=click.IntRange(min=1), default=1, show_default=True, help="From the survey's first on.")
@click.option(
    "--then",
    type=ShapeName(or_file=True),
    metavar="SHAPE|FILE",
    help="The shares that those of --truth or --like move to by the last epoch.",
)
@click.option("--change", type=SHARE, default=0.0, help="Share of the devices whose answers are drawn anew per epoch.")
@click.option("--turnover", type=SHARE, default=0.0, help="Share of the devices that go per epoch, new ones coming.")
@click.option("--withdrawal", type=SHARE, default=0.0, help="Share of the owners that withdraw consent per epoch.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same result."
)
@common
def simulate(
    file: str,
    devices: int,
    engine: str,
    repetitions: int,
    epochs: int,
    then: str | None,
    change: float,
    turnover: float,
    withdrawal: float,
    seed: int,
    truth: Path | None,
    like: str,
    participation: float,
    form: str,
    output: Path | None,
    pictures: Path | None,
    draw: bool,
) -> None:
    """Run a survey on devices whose answers are known, and compare.

    FILE is a survey. Prints the estimates beside the truth, with several repetitions also their error and coverage.
    """
    survey = Definition.load(file).survey
    later = None if then is None else _named_or_read(then, survey)
    population = _population(truth, like, survey)
    scenario = Scenario(devices, population, later, epochs, participation, change, turnover, withdrawal)
    with _progress(f"answers of {counted(devices, 'device')}", steps(survey, scenario, engine, repetitions)) as advance:
        found = run_simulation(survey, scenario, engine, repetitions, seed, progress=advance)
    if engine == "tallies" and forgetful(survey, scenario):
        click.echo("each epoch is drawn apart; --engine clients follows what devices remember between them", err=True)
    truth_is = population.described(survey)
    if later is not None:
        truth_is += f"; by the last epoch drawn from {later.described(survey)}"
    words = concluded(found, CONFIDENCE)
    drawn = simulation_pictures(found) if output or pictures or draw else []
    if output:
        title = f"{survey.name}: simulated with {counted(devices, 'device')}"
        facts = _facts(survey, truth_is, devices, participation)
        facts |= {"simulated": f"engine {engine}, {repetitions:,} x, seed {seed}, epochs: {epochs}"}
        page = to_html(title, words, facts, drawn, SIMULATION_LEGEND, outcome_sheets(found))
        output.write_text(page, encoding="utf-8")
    if pictures:
        _write_pictures(drawn, pictures)
    if form == "table":
        out = console()
        for sheet in outcome_sheets(found, MOST_SHOWN):
            print_sheet(sheet, out)
        print_words(words, out)
        print_words(f"Truth: {truth_is}.", out, "dim")
    else:
        _echo(found, form)
    if draw:
        _draw(drawn, form)


@click.command("audit")
@click.argument("file")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="Prove by running every branch of the code, watch the shipped client, or prove where that is possible.",
)
@click.option("--trials", type=Count(1_000), default=TRIALS, show_default=True, help="Reports per value when watching.")
@click.option("--seed", type=click.IntRange(min=0), help="Watch with simulated randomness that can be repeated.")
@click.option("--format", "form", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def audit(file: str, method: str, trials: int, seed: int | None, form: str) -> None:
    """Prove or test that every question of FILE keeps its epsilon; ends with 1 if one does not.

    Prints a certificate. A bound is proven by running every branch of the shipped code or, where there are too many,
    tested on the reports that the shipped client sends, which can refute it but not prove it.
    """
    survey = Definition.load(file).survey
    with _progress("auditing", None) as advance:
        certificate = audit_survey(survey, method, trials, seed, progress=advance)
    if form == "json":
        click.echo(json.dumps(certificate.as_dict(), indent=2, ensure_ascii=False))
    elif form == "csv":
        click.echo(to_csv(certificate.findings, Finding), nl=False)
    else:
        click.echo(certificate)
    if not certificate.holds:
        raise SystemExit(1)


def _population(truth: Path | None, like: str, survey: Survey) -> Population:
    if truth is None:
        return Population.like(like)
    with _progress(f"reading {truth}", None) as advance:
        population = Population.read(truth, survey, like, advance)
    _warn(population)
    return population


def _named_or_read(text: str, survey: Survey) -> Population:
    """A population by the name of a shape or, where that is none, in a file."""
    if text.partition(":")[0] in SHAPES:
        return Population.like(text)
    population = Population.read(text, survey)
    _warn(population)
    return population


def _warn(population: Population) -> None:
    for remark in population.remarks:
        click.echo(f"Warning: {remark}", err=True)


def _facts(survey: Survey, truth: str, devices: int, participation: float) -> dict[str, str]:
    """What a page is about and how it was made, so that it can be checked and made again."""
    return {
        "survey": f"{survey.name}: {survey.title}",
        "digest as read": survey.digest,
        "truth supposed": truth,
        "devices": f"{devices:,}, of which {100 * participation:.4g}% take part",
        "command": _command(),
        "made": f"{date.today()} by hushtally {metadata.version('hushtally')}",
    }


def _command() -> str:
    """The command as it was called, without the options that change no figure."""
    context = click.get_current_context()
    words = ["hushtally", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in OUTPUTS or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        option = parameter.opts[-1:] if isinstance(parameter, click.Option) else []
        for one in value if isinstance(value, tuple) else (value,):
            words += [*option, str(one)]
    return shlex.join(words)


def _write(file: str, epsilon: float | None, survey: Survey) -> None:
    if epsilon is None:
        raise click.ClickException(f"{file} was left as it is: no epsilon meets the target")
    written = write_epsilon(file, epsilon)
    if written.digest == survey.digest:
        click.echo(f"{file} has this epsilon already", err=True)
    else:
        click.echo(
            f"wrote epsilon = {epsilon:g} to {file}; if version {survey.version} is in use, give it a new version",
            err=True,
        )


def _write_pictures(drawn: Sequence[Picture], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in drawn:
        (folder / f"{picture.name}.svg").write_text(to_svg(picture.chart), encoding="utf-8")
        (folder / f"{picture.name}.png").write_bytes(to_png(picture.chart))


def _draw(drawn: Sequence[Picture], form: str) -> None:
    """In characters, beside the tables and not among rows for a program."""
    click.echo("\n" + "\n\n".join(to_text(picture.chart) for picture in drawn), err=form != "table")


def _echo(rows: list[Any], form: str) -> None:
    click.echo(to_json(rows) if form == "json" else to_csv(rows, type(rows[0])), nl=False)


@contextmanager
def _progress(words: str, total: int | None) -> Iterator[Callable[[], object]]:
    """A bar on the terminal that takes a step at every call of what it yields."""
    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), left)
    shown_on = Console(stderr=True, highlight=False)
    with Progress(*columns, console=shown_on, transient=True, disable=not shown_on.is_terminal) as progress:
        task = progress.add_task(words, total=total)
        taken, shown = 0, monotonic()

        def advance() -> None:
            nonlocal taken, shown
            taken += 1
            if monotonic() - shown > 0.1:
                progress.update(task, completed=taken)
                shown = monotonic()

        yield advance
