"""Commands that tell of a mistake by the name of the option."""

from __future__ import annotations

from typing import Any

import click

from hushtally.aggregator.errors import ArgumentError


class Command(click.Command):
    """A command that tells of an argument that is not as it must be by the name of its option."""

    def invoke(self, ctx: click.Context) -> Any:
        """See Command."""
        try:
            return super().invoke(ctx)
        except ArgumentError as error:
            raise click.BadParameter(error.words, ctx, param_hint=f"'--{error.name}'") from None
