"""The `hushtally` command: its subcommands load when they are called, and say which extra they need."""

from __future__ import annotations

import errno
import sys
from importlib import import_module, metadata

from hushtally.client_sdk.errors import HushtallyError

try:
    import click
except ImportError:  # the base install is the SDK alone
    sys.exit("the hushtally command needs click; run: pip install 'hushtally[all]' (in a checkout: '.[all]')")

# command -> where it lives and the extra that brings what it needs
COMMANDS = {
    "demo": ("hushtally.simulations.demo.command:demo", "simulations"),
    "survey": ("hushtally.survey.commands:survey", "collector"),
    "serve": ("hushtally.collector.serve_cli:serve", "collector"),
    "purge": ("hushtally.collector.purge_cli:purge", "collector"),
    "estimate": ("hushtally.aggregator.estimate_cli:estimate", "aggregator"),
    "tune": ("hushtally.simulations.tune.command:tune", "simulations"),
    "simulate": ("hushtally.simulations.simulate.command:simulate", "simulations"),
    "audit": ("hushtally.simulations.audit.command:audit", "simulations"),
}

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what only a write can meet


class Commands(click.Group):
    """A group whose subcommands are imported when they are needed, so that each works with its own extra alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        place, extra = COMMANDS[cmd_name]
        name, _, attribute = place.partition(":")
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or "a package"
            if missing.partition(".")[0] == "hushtally":
                raise
            return _missing(cmd_name, extra, missing)
        command: click.Command = getattr(module, attribute)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()  # now, as at the exit nobody could say why it failed
            return done
        except HushtallyError as error:
            raise click.ClickException(str(error).replace("\n", "\nError: ")) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has seen enough
                raise
            what = error.filename or ("the output cannot be written" if error.errno in NO_ROOM else "")
            why = error.strerror or str(error)
            raise click.ClickException(f"{what}: {why}" if what else why) from None


def _missing(command: str, extra: str, package: str) -> click.Command:
    """Stands in for a command whose extra is not installed."""

    @click.command(command, short_help=f"(needs the extra: pip install 'hushtally[{extra}]')", add_help_option=False)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def stand_in(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(
            f"{command} needs {package}, which is not installed; run: pip install 'hushtally[{extra}]'"
        )

    stand_in.context_settings["ignore_unknown_options"] = True
    return stand_in


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("hushtally"), prog_name="hushtally")
def main() -> None:
    """Count how customers behave without holding anyone's behaviour."""
