"""The command `hushtally demo`, which runs clients and a collector on this machine with a real purchase log."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.terminal import console, print_words
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import create_folder, write_file
from hushtally.output.progress import progress_bar
from hushtally.simulations.charts.svg import to_svg
from hushtally.simulations.cli.option_types import Count, Number, OutputFile, OutputFolder
from hushtally.simulations.demo.collector_process import collector_process
from hushtally.simulations.demo.comparison import Comparison, compare
from hushtally.simulations.demo.next_steps import print_next_steps
from hushtally.simulations.demo.picture import demo_picture
from hushtally.simulations.demo.purchases import LOG_ENDS, Customer, load_customers, shift_to
from hushtally.simulations.demo.replay import replay
from hushtally.simulations.demo.reruns import RUNS, rerun
from hushtally.simulations.demo.survey import DATABASE_FILE, SURVEY_FILE, write_survey
from hushtally.simulations.demo.tables import print_question
from hushtally.simulations.requirements import require_clients_enabled
from hushtally.simulations.simulate.tables import NEGATIVE_ESTIMATES

MAX_CUSTOMERS = 23_570


@click.command(cls=Command)
@click.option("--epsilon", type=Number(*EPSILON_RANGE), default=1.0, show_default=True, help="Epsilon of one report.")
@click.option(
    "--customers",
    type=Count(1, MAX_CUSTOMERS),
    default=MAX_CUSTOMERS,
    show_default=True,
    help="Number of customers who take part.",
)
@click.option(
    "--seed",
    type=Count(0),
    default=0,
    show_default=True,
    help="Seed that selects the customers. Devices always use the system's randomness.",
)
@click.option("--port", type=Count(0, 65_535), default=0, help="Port of the collector; default: any free port.")
@click.option("--keep", type=OutputFolder(), help="Keep the survey and the database in this new folder.")
@click.option("--picture", "image", type=OutputFile(), help="Write a picture of the result to this SVG file.")
def demo(epsilon: float, customers: int, seed: int, port: int, keep: Path | None, image: Path | None) -> None:
    """Estimate what 23,570 real customers did, and compare with the truth.

    Replays a real purchase log (CDNOW, 1997-98). Every customer is a device that counts its own purchases, randomizes
    one answer, and sends it to a real collector process on this machine.
    """
    require_clients_enabled()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops the demo as cleanly as Ctrl-C
    today = utc_today()
    with _folder(keep) as folder:
        survey = write_survey(folder / SURVEY_FILE, epsilon, today)
        with progress_bar("Reading the purchase log", None):
            people = load_customers(customers, seed)
        _collect_reports(people, survey, folder, port, today)
        with progress_bar("Comparing the estimates with the truth", None):
            comparisons = compare(survey, folder / DATABASE_FILE, people)
    if image is not None:  # before anything is printed, because the reader of stdout may stop early
        write_file(image, to_svg(demo_picture(comparisons, len(people), epsilon)))
    out = console()
    _print_introduction(survey, len(people), epsilon, today, out)
    for question, rows in groupby(comparisons, key=lambda one: one.row.question):
        print_question(question, list(rows), out)
    _print_conclusion(comparisons, survey, people, out)
    print_next_steps(keep)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder of the survey and the database: `keep`, or a temporary folder that is deleted after the block."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="hushtally-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise ArgumentError("keep", f"must be a new or an empty folder, but {keep} contains files")
    create_folder(keep)
    yield keep


def _collect_reports(people: Sequence[Customer], survey: Survey, folder: Path, port: int, today: date) -> None:
    """Replay the log against a collector; ClickException unless the report of every device arrives."""
    devices = counted(len(people), "device")
    with ExitStack() as stack:
        states = stack.enter_context(tempfile.TemporaryDirectory(prefix="hushtally-devices-"))
        with progress_bar("Starting the collector", None):
            url = stack.enter_context(collector_process(folder / SURVEY_FILE, folder / DATABASE_FILE, port))
        with progress_bar(f"{devices} record purchases and send reports to {url}", len(people)) as advance:
            delivered = replay(people, survey, url, Path(states), today, advance)
        with progress_bar("Stopping the collector", None):
            stack.close()
    if delivered < len(people):
        missing = counted(len(people) - delivered, "device")
        raise click.ClickException(f"the reports of {missing} out of {len(people):,} did not reach the collector")


def _print_introduction(survey: Survey, customers: int, epsilon: float, today: date, out: Console) -> None:
    print_words(
        f"{counted(customers, 'customer')} of a music shop. The purchases are moved in time, so that {LOG_ENDS} becomes"
        f" {LOG_ENDS + shift_to(today)}.\n"
        "truth: the true share of these customers.\n"
        "estimate: from one randomized report per customer, about one of"
        f" {len(survey.asked)} questions, at epsilon {epsilon:g}.\n"
        "acquired: the month of the first purchase, used as the date of registration.\n"
        "covers: whether the interval contains the true value.\n",
        out,
    )


def _print_conclusion(
    comparisons: Sequence[Comparison], survey: Survey, customers: Sequence[Customer], out: Console
) -> None:
    """Print how many intervals contain the true value, and how this number varies from run to run."""
    published = [one for one in comparisons if one.row.published]
    if not published:
        print_words("There are too few reports to publish an estimate. Run the demo with more --customers.\n", out)
        return
    covering = sum(one.covers for one in published)
    share = f"{covering / len(published):.1%}"
    print_words(f"{covering} of {len(published):,} intervals contain the true value: {share}.", out, "bold")
    with progress_bar(f"Simulating {RUNS:,} more runs", RUNS) as advance:
        reruns = rerun(survey, comparisons, customers, progress=advance)
    low, high = reruns.central_range
    print_words(
        f"The expected coverage is 95%, on average over many runs. In {RUNS:,} more runs, simulated with these"
        f" customers, {reruns.mean:.1%} of the intervals contain the true value on average. In 9 of 10 runs, {low:.1%}"
        f" to {high:.1%} do. Runs differ this much because the intervals of one question depend on each other.\n"
        f"{NEGATIVE_ESTIMATES}\n",
        out,
    )
