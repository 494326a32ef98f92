"""A new file: written whole or not at all, and over another one only if that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


def check_new_file(path: Path, example: str, remedy: str = "delete it first") -> None:
    """Raises ClickException if `path` exists.

    example: a file name for the message if `path` is a directory. remedy: what to do if it is a file.
    """
    _check_not_a_directory(path, example)
    if path.exists() or path.is_symlink():
        raise click.ClickException(f"{path} already exists and was not changed; give another name, or {remedy}")


def write_new_file(path: Path, text: str, example: str, remedy: str = "delete it first") -> None:
    """Creates `path` with `text`; ClickException if it exists or cannot be written, which leaves no part of it behind.

    example and remedy: as for check_new_file.
    """
    check_new_file(path, example, remedy)
    with _one_line_errors(path):
        _create(path, text)


def replace_file(path: Path, text: str, example: str) -> None:
    """Creates or replaces `path`; ClickException if it cannot be written, which leaves it as it was.

    example: as for check_new_file.
    """
    _check_not_a_directory(path, example)
    with _one_line_errors(path):
        target = path.resolve()  # a symbolic link stays a link
        temporary = target.with_name(f".{target.name}.new")
        temporary.unlink(missing_ok=True)  # of a process that was killed
        _create(temporary, text)
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink()
            raise


def _check_not_a_directory(path: Path, example: str) -> None:
    if path.is_dir():
        raise click.ClickException(f"{path} is a directory; give a file name, such as {path / example}")


def _create(path: Path, text: str) -> None:
    """Creates a file, or leaves no part of it behind."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            path.unlink()
            raise


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
