"""Options of tune and simulate that describe the customers: how many, their true shares, and how many take part."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hushtally.client_sdk.survey import Survey
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_text
from hushtally.simulations.cli.option_types import Count, ShapeName, Share
from hushtally.simulations.population.population import MAX_DEVICES, Population
from hushtally.simulations.population.shape import DEFAULT_SHAPE

OPTIONS = (
    click.option("--devices", type=Count(1, MAX_DEVICES), required=True, help="Number of devices that have the app."),
    click.option(
        "--truth",
        type=click.Path(path_type=Path),
        help="File with the true shares: JSON, CSV (question, segment, share) or event log (device, day, event, ...).",
    ),
    click.option(
        "--like",
        type=ShapeName(),
        default=DEFAULT_SHAPE,
        show_default=True,
        metavar="SHAPE",
        help="Assumed shares of all questions that --truth does not cover: uniform, zipf:S or geometric:R.",
    ),
    click.option(
        "--participation",
        type=Share(0, 1, min_open=True),
        default=1.0,
        show_default=True,
        help="Share of the devices that take part.",
    ),
)


@dataclass(frozen=True)
class Assumptions:
    """The values of these options."""

    devices: int
    truth: Path | None
    like: str
    participation: float

    def population(self, survey: Survey) -> Population:
        """The population of the survey; possible mistakes in its file are printed on stderr."""
        return Population.from_shape(self.like) if self.truth is None else load(self.truth, survey, self.like)


def load(path: Path, survey: Survey, default_shape: str = DEFAULT_SHAPE) -> Population:
    """Read a population from a file, show the progress, and print possible mistakes in the file on stderr."""
    with progress_bar(f"Reading {path}", None) as advance:
        population = Population.load(path, survey, default_shape, advance)
    for warning in population.warnings:
        print_text(f"Warning: {warning}", err=True)
    return population


def assumption_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to a command; it receives them as the argument `assumptions`."""

    @functools.wraps(command)
    def with_options(devices: int, truth: Path | None, like: str, participation: float, **others: Any) -> Any:
        return command(assumptions=Assumptions(devices, truth, like, participation), **others)

    for option in reversed(OPTIONS):
        with_options = option(with_options)
    return with_options
