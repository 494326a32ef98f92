"""`hushtally demo`: the whole path on a real purchase log, on this machine."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.share_format import interval_plot, percent, span
from hushtally.aggregator.summary import Row
from hushtally.aggregator.terminal import console, print_table, print_words, width
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.charts.render import to_svg
from hushtally.simulations.cli.option_types import Count, NewFile, NewFolder, Number
from hushtally.simulations.cli.progress import progress
from hushtally.simulations.demo.collector_process import collector
from hushtally.simulations.demo.picture import picture as result
from hushtally.simulations.demo.purchases import LOG_ENDS, Customer, load_customers, shift_to
from hushtally.simulations.demo.replay import Line, compare, replay, write_survey
from hushtally.simulations.demo.reruns import run_again
from hushtally.simulations.requirements import require_clients
from hushtally.simulations.simulate.tables import UNCUT

SURVEY, DATABASE = "cdnow.toml", "hushtally.db"
ALL = 23_570


@click.command(cls=Command)
@click.option(
    "--epsilon",
    type=Number(*EPSILON_RANGE),
    default=1.0,
    show_default=True,
    help="What one report may reveal.",
)
@click.option("--customers", type=Count(1, ALL), default=ALL, show_default=True, help="How many customers take part.")
@click.option(
    "--seed",
    type=Count(0),
    default=0,
    show_default=True,
    help="Draws which customers take part; devices always draw from the system.",
)
@click.option("--port", type=Count(0, 65_535), default=0, help="The collector's port; any free one by default.")
@click.option(
    "--keep",
    type=NewFolder(),
    help="A new folder to keep the survey and the database in.",
)
@click.option("--picture", "image", type=NewFile(), help="Draw the result into this SVG file.")
def demo(epsilon: float, customers: int, seed: int, port: int, keep: Path | None, image: Path | None) -> None:
    """Let 23,570 real customers answer at random, and compare with the truth.

    Replays a real purchase log (CDNOW, 1997-98): every customer is a device that counts its own purchases, randomizes
    one answer and sends it to a real collector process on this machine.
    """
    require_clients()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops as cleanly as Ctrl-C
    today = utc_today()
    with _folder(keep) as folder, tempfile.TemporaryDirectory(prefix="hushtally-devices-") as devices:
        survey = write_survey(folder / SURVEY, epsilon, today)
        people = load_customers(customers, seed)
        with (
            collector(folder / SURVEY, folder / DATABASE, port) as url,
            progress(f"{counted(len(people), 'device')} record and answer to {url}", len(people)) as advance,
        ):
            delivered = replay(people, survey, url, Path(devices), today, advance)
        if delivered < len(people):
            missing = counted(len(people) - delivered, "device")
            raise click.ClickException(f"{missing} of {len(people):,} could not deliver an answer")
        lines = compare(survey, folder / DATABASE, people)
    if image is not None:  # before anything is printed, whoever reads it
        image.write_text(to_svg(result(lines, len(people), epsilon)), encoding="utf-8")
    out = console()
    moved = LOG_ENDS + shift_to(today)
    print_words(
        f"{counted(len(people), 'customer')} of a music shop, purchases moved so that {LOG_ENDS} falls on {moved}.\n"
        f"truth: all these customers; estimate: from one randomized report each, epsilon {epsilon:g}, to one of"
        f" {len(survey.asked)} questions.\n"
        "acquired: the month of the first purchase, which stands for a registration date.\n",
        out,
    )
    for question, rows in groupby(lines, key=lambda line: line.row.question):
        print_lines(question, list(rows), out)
    _conclude(lines, survey, people, out)
    _next(keep, out)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the survey and the database lie: `keep`, made anew, or a folder that goes with the demonstration."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="hushtally-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise ArgumentError("keep", f"must be a new or an empty folder, got {keep}, which holds files")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep


def print_lines(question: str, lines: Sequence[Line], console: Console) -> None:
    """The table of a question, with a picture of its intervals on a terminal that has room for it."""
    drawn = (
        _table(question, lines, interval_plot([line.row for line in lines], console)) if console.is_terminal else None
    )
    print_table(drawn if drawn and width(drawn, console) <= console.width else _table(question, lines, None), console)


def _table(question: str, lines: Sequence[Line], draw: Callable[[Row], str] | None) -> Table:
    table = Table(title=f"[bold]{question}[/bold]", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("acquired", no_wrap=True)
    table.add_column("segment", no_wrap=True)
    for name in ("truth", "estimate", "95% interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("covers", no_wrap=True)
    if draw:
        table.add_column("", no_wrap=True)
    for group, part in groupby(lines, key=lambda line: line.row.cohort.get("acquired", "all")):
        for index, line in enumerate(part):
            row = line.row
            cells = [
                group if index == 0 else counted(row.reports, "report") if index == 1 else "",
                row.segment,
                percent(line.truth),
                percent(row.estimate) if row.published else "too few",
                span(row.low, row.high),
                ("yes" if line.covers else "no") if row.published else "-",
            ]
            table.add_row(*cells, *([draw(row)] if draw else []))
        table.add_section()
    return table


def _conclude(lines: Sequence[Line], survey: Survey, customers: Sequence[Customer], console: Console) -> None:
    """How many intervals hold the truth, and how many do from run to run."""
    published = [line for line in lines if line.row.published]
    if not published:
        print_words("Too few reports to publish anything; with more --customers there is something to see.\n", console)
        return
    held = sum(line.covers for line in published)
    print_words(
        f"{held} of {counted(len(published), 'interval')} hold the truth: {held / len(published):.1%}.", console, "bold"
    )
    runs = run_again(survey, lines, customers)
    low, high = runs.usual
    print_words(
        f"The 95% that is promised is an average over many runs: {len(runs.shares):,} more, simulated with these"
        f" customers, had {runs.mean:.1%} on average, 9 in 10 of them from {low:.1%} to {high:.1%} (intervals of one"
        f" question depend on each other).\n{UNCUT}\n",
        console,
    )


def _next(keep: Path | None, console: Console) -> None:
    """Three commands that work as printed, from the folder and the environment that the demonstration ran in."""
    folder = keep or Path("demo")
    estimate = ["estimate", "cdnow", "--database", folder / DATABASE, "--by", "acquired"]
    explain = ["survey", "explain", folder / SURVEY]
    if keep is None:
        commands = [["demo", "--customers", 5000, "--epsilon", 2, "--keep", folder], estimate, explain]
    else:
        commands = [estimate, explain, ["tune", folder / SURVEY, "--devices", 50000]]
    lines = [shlex.join([*_called(), *map(str, words)]) for words in commands]
    console.print("Next:", *lines, sep="\n  ", markup=False, soft_wrap=True)


def _called() -> list[str]:
    """The words by which the demonstration was called."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.executable, "-m", "hushtally"]
    return ["hushtally"] if shutil.which("hushtally") == str(script.absolute()) else [str(script)]
