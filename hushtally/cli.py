"""The `hushtally` command, which imports a subcommand only when it is called."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any

from hushtally.client_sdk.errors import HushtallyError

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
        _escape_unencodable_characters()
        _ignore_unwritable_stderr()
        with _one_line_errors():  # --help and --version write here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        with _one_line_errors():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a failure at exit could no longer be reported
            return result


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn failures that a user can cause or fix into "Error: ..." and exit status 1."""
    try:
        yield
    except HushtallyError as error:
        raise click.ClickException(str(error).replace("\n", "\nError: ")) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of the output closed the pipe
            raise
        subject = error.filename or ("the output cannot be written" if error.errno in DISK_FULL else "")
        reason = error.strerror or str(error)
        raise click.ClickException(f"{subject}: {reason}" if subject else reason) from None


def _escape_unencodable_characters() -> None:
    """Make the output streams write an escape, like \\u2264, for a character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


class _Stderr(io.FileIO):
    """Stderr whose reader may go away: what cannot be written is lost, and the command continues."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _ignore_unwritable_stderr() -> None:
    """Make a closed pipe, a closed terminal or a full disk of the log no failure of the command."""
    stream = sys.stderr
    if stream is sys.__stderr__ and isinstance(stream, io.TextIOWrapper):
        raw = _Stderr(stream.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True)


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
@click.version_option(metadata.version("hushtally"), prog_name="hushtally")
def main() -> None:
    """Count how customers behave without collecting anyone's behaviour.

    Write a survey file with `survey new`, choose epsilon with `tune`, collect reports with `serve`, and read the
    results with `estimate`. `demo` shows all of this on a real purchase log.
    """
