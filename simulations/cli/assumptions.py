"""What tune and simulate suppose of the customers: their shares, and how many devices take part."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hushtally.client_sdk.survey import Survey
from hushtally.simulations.cli.option_types import Count, ShapeName, Share
from hushtally.simulations.cli.progress import progress
from hushtally.simulations.population.population import DEFAULT_SHAPE, MOST_DEVICES, Population

OPTIONS = (
    click.option("--devices", type=Count(1, MOST_DEVICES), required=True, help="How many devices hold the app."),
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
)


@dataclass(frozen=True)
class Assumptions:
    """The options that say who answers."""

    devices: int
    truth: Path | None
    like: str
    participation: float

    def population(self, survey: Survey) -> Population:
        """The customers' shares; what is odd in their file is said on stderr."""
        if self.truth is None:
            return Population.like(self.like)
        with progress(f"reading {self.truth}", None) as advance:
            return warned(Population.read(self.truth, survey, self.like, advance))


def warned(population: Population) -> Population:
    """The population, after what is odd in its file was said."""
    for remark in population.remarks:
        click.echo(f"Warning: {remark}", err=True)
    return population


def assumption_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as one argument `supposed`."""

    @functools.wraps(command)
    def folded(devices: int, truth: Path | None, like: str, participation: float, **others: Any) -> Any:
        return command(supposed=Assumptions(devices, truth, like, participation), **others)

    for option in reversed(OPTIONS):
        folded = option(folded)
    return folded
