"""A click command that reports a wrong argument by the name of its option."""

from __future__ import annotations

from typing import Any

import click

from hushtally.aggregator.errors import ArgumentError


class Command(click.Command):
    """A command that reports an ArgumentError as a usage error of the option with the same name, and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises click.BadParameter for an ArgumentError."""
        try:
            return super().invoke(ctx)
        except ArgumentError as error:
            raise click.BadParameter(error.problem, ctx, param_hint=f"'--{error.name}'") from None
