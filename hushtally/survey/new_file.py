"""A new file: written whole or not at all, and never over another one."""

from __future__ import annotations

from pathlib import Path

import click


def write_new_file(path: Path, text: str, example: str) -> None:
    """Creates `path` with `text`; ClickException if it exists or cannot be written, which leaves no part of it behind.

    example: a file name for the message if `path` is a directory.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except BaseException:
                path.unlink()
                raise
    except FileExistsError:
        if path.is_dir():
            raise click.ClickException(f"{path} is a directory; give a file name, such as {path / example}") from None
        raise click.ClickException(
            f"{path} already exists and was not changed; give another name, or delete it first"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
