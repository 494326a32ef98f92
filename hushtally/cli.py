"""The `hushtally` command, which imports a subcommand only when it is called."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from hushtally.client_sdk.errors import HushtallyError
from hushtally.output.printable import printable
from hushtally.output.streams import encoding_of, prepare_streams, print_text
from hushtally.version import VERSION

try:
    import click
except ImportError:  # the base install is the SDK alone
    sys.exit("the hushtally command needs click; run: pip install 'hushtally[all]' (in a checkout: '.[all]')")

# command -> the object to import, and the extra that installs its dependencies
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

INTERRUPTED = 128 + signal.SIGINT
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # only a write fails with these


class Commands(click.Group):
    """A group that imports each subcommand on demand, so that a subcommand needs only its own extra."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        path, extra = COMMANDS[cmd_name]
        name, _, attribute = path.partition(":")
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or "a package"
            if missing.partition(".")[0] == "hushtally":
                raise
            return _unavailable(cmd_name, extra, missing)
        command: click.Command = getattr(module, attribute)
        return command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        prepare_streams()
        with _one_line_errors():  # --help and --version write here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        with _one_line_errors():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a failure at exit could no longer be reported
            return result


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn failures that a user can cause or fix into "Error: ..." and exit status 1.

    Ctrl-C is one line and exit status 130, as in a shell.
    """
    try:
        yield
    except click.ClickException as error:
        error.message = _printable(error.message)  # type: ignore[misc]  # click says final, but has no other way
        raise
    except HushtallyError as error:
        raise click.ClickException(_printable(str(error)).replace("\n", "\nError: ")) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of the output closed the pipe
            raise
        subject = error.filename or ("the output cannot be written" if error.errno in DISK_FULL else "")
        reason = error.strerror or str(error)
        raise click.ClickException(_printable(f"{subject}: {reason}" if subject else reason)) from None
    except KeyboardInterrupt:
        print_text("Interrupted.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


def _printable(message: str) -> str:
    return printable(message, encoding_of(sys.stderr), line_breaks=True)


def _unavailable(command: str, extra: str, package: str) -> click.Command:
    """A substitute for a command whose extra is not installed; it explains how to install the extra."""

    @click.command(command, short_help=f"(needs the extra: pip install 'hushtally[{extra}]')", add_help_option=False)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def unavailable(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(
            f"{command} needs {package}, which is not installed; run: pip install 'hushtally[{extra}]'"
        )

    unavailable.context_settings["ignore_unknown_options"] = True
    return unavailable


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="hushtally")
def main() -> None:
    """Count how customers behave without collecting anyone's behaviour.

    Write a survey file with `survey new`, choose epsilon with `tune`, collect reports with `serve`, and read the
    results with `estimate`. `demo` shows all of this on a real purchase log.
    """
