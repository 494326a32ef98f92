"""The command `estimate SURVEY`, and the statistics that may follow: `estimate SURVEY STATISTIC`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from hushtally.aggregator.click_command import Command

# statistic -> what it estimates. The module of the same name in aggregator/verbs is imported when it is called.
STATISTICS = {
    "rate": "the rate of an outcome inside each segment; differences and ratios of rates",
    "change": "how the shares differ between two epochs or ranges of epochs",
    "trend": "the slope of the shares over epochs, and whether they changed at all",
    "pool": "shares of several epochs together, or of groups of customers by their true sizes",
    "rank": "the rank of each segment, the largest, the top k, and which segments differ",
    "lift": "how much more often two segments occur together than by chance, and clusters",
    "mean": "bounds of the mean of a number",
    "quantile": "quantiles of a number, such as the median",
    "membership": "what a single report reveals about the customer who sent it",
    "linear": "any weighted sum of the shares of a question",
}


class EstimateCommand(Command):
    """`estimate SURVEY [OPTIONS]` prints shares; `estimate SURVEY STATISTIC [OPTIONS]` prints another statistic."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        """Return the context of this command, or of the statistic that the second argument names."""
        if args[1:2] and args[1] in STATISTICS:
            name, rest = args[1], [args[0], *args[2:]]
        elif args and args[0] in STATISTICS and args[1:2] and args[1] in self.get_help_option_names(self._bare(parent)):
            name, rest = args[0], args[1:]
        else:
            return super().make_context(info_name, args, parent, **extra)
        command: click.Command = import_module(f"hushtally.aggregator.verbs.{name}").command
        return command.make_context(f"{info_name} SURVEY {name}", rest, parent, **extra)

    def _bare(self, parent: click.Context | None) -> click.Context:
        return click.Context(self, parent=parent)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and then the statistics."""
        super().format_options(ctx, formatter)
        with formatter.section("Statistics (see `estimate SURVEY STATISTIC --help`)"):
            formatter.write_dl(list(STATISTICS.items()))
