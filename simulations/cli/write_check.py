"""Checks that a file or a folder can be written, before a command starts its work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click


def require_writable_file(file: Path) -> None:
    """Raise ClickException unless the file can be written or created. The check changes nothing."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
    except FileNotFoundError:
        _require_room(file, [file.parent])
    except OSError as error:
        raise _not_writable(file, error) from None


def require_writable_folder(folder: Path) -> None:
    """Raise ClickException unless files can be created in the folder, or the folder itself can be created."""
    _require_room(folder, [folder, *folder.absolute().parents])


def require_replaceable_file(file: Path) -> None:
    """Raise ClickException unless the file can be written, and a new file can be created beside it to replace it."""
    require_writable_file(file)
    _require_room(file, [file.resolve().parent])


def _require_room(path: Path, folders: Sequence[Path]) -> None:
    """Raise ClickException, with the path, unless a file can be created in the first of the folders that exists."""
    for folder in folders:
        try:
            return tempfile.TemporaryFile(dir=folder).close()
        except FileNotFoundError as error:
            missing = error
        except OSError as error:
            raise _not_writable(path, error) from None
    raise _not_writable(path, missing)


def _not_writable(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"{path} cannot be written: {error.strerror}")
