"""The commands of the statistics: `hushtally estimate SURVEY STATISTIC`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.estimate_cli import print_statistics, read_selection
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection_options import selection_options
from hushtally.output.progress import progress_bar


class StatisticCommand(Command):
    """The command of one statistic; its usage names SURVEY before the statistic."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the pieces of the usage after the name of the command, which already contains SURVEY."""
        return [piece for piece in super().collect_usage_pieces(ctx) if piece != "SURVEY"]


def statistic(name: str) -> Callable[[Callable[..., list[Row]]], click.Command]:
    """Turn a function of a selection and of its own options into a command that prints the rows of the function."""

    def decorate(function: Callable[..., list[Row]]) -> click.Command:
        own = [option.name for option in getattr(function, "__click_params__", [])]

        def run(form: str, **options: Any) -> None:
            arguments = {name: options.pop(name) for name in own}
            selection = read_selection(**options)
            with progress_bar("Estimating", None):
                rows = function(selection, **arguments)
            print_statistics(rows, selection, form)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=StatisticCommand)(selection_options(run))

    return decorate
