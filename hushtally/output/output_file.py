"""Output files: each is written beside its target and renamed, so that a failure leaves the old file."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hushtally.client_sdk.errors import HushtallyError


class OutputFileError(HushtallyError):
    """A file cannot be written; the old file, if there is one, is unchanged."""


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole or not at all; a string is written in UTF-8, with surrogates escaped.

    An existing file is replaced and keeps its permissions. A symbolic link stays a link. What is not a regular file,
    such as a pipe, is written to directly. Raises OutputFileError.
    """
    data = _encoded(content)
    target = Path(os.path.realpath(path))
    with _errors(path):
        old = _status(target)
        if old is not None and not stat.S_ISREG(old.st_mode):
            target.write_bytes(data)
            return
        if old is not None:
            os.close(os.open(target, os.O_WRONLY))  # a read-only file must not be replaced either
        beside = _write_beside(target, data, old)
        try:
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_new_file(path: Path, content: str, example: str, remedy: str = "delete it first") -> None:
    """Write a file that must not exist yet, as a whole or not at all. Raises OutputFileError.

    example and remedy: as for `require_new_file`.
    """
    require_new_file(path, example, remedy)
    with _errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        _fill(path, descriptor, _encoded(content))


def require_new_file(path: Path, example: str, remedy: str = "delete it first") -> None:
    """Raise OutputFileError if the file exists.

    example: a file name for the message if `path` is a directory. remedy: what to do if it is a file.
    """
    require_no_folder(path, example)
    if path.exists() or path.is_symlink():
        raise OutputFileError(f"{path} already exists and was not changed; give another name, or {remedy}")


def require_no_folder(path: Path, example: str) -> None:
    """Raise OutputFileError if `path` is a directory. example: a file name for the message."""
    if path.is_dir():
        raise OutputFileError(f"{path} is a directory; give a file name, such as {path / example}")


def require_writable_file(path: Path) -> None:
    """Raise OutputFileError unless `write_file` can write the file. The check changes nothing."""
    target = Path(os.path.realpath(path))
    with _errors(path), suppress(FileNotFoundError):
        os.close(os.open(target, os.O_WRONLY | os.O_NONBLOCK))
        if not target.is_file():
            return
    _require_room(path, [target.parent])


def require_writable_folder(path: Path) -> None:
    """Raise OutputFileError unless files can be created in the folder, or the folder itself can be created."""
    _require_room(path, [path, *path.absolute().parents])


def create_folder(path: Path) -> None:
    """Create a folder and its parents if they do not exist. Raises OutputFileError."""
    with _errors(path):
        path.mkdir(parents=True, exist_ok=True)


def _require_room(path: Path, folders: Sequence[Path]) -> None:
    """Raise OutputFileError, with the path, unless a file can be created in the first of the folders that exists."""
    for folder in folders:
        try:
            return tempfile.TemporaryFile(dir=folder).close()
        except FileNotFoundError as error:
            missing = error
        except OSError as error:
            raise _failure(path, error) from None
    raise _failure(path, missing)


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _write_beside(target: Path, data: bytes, old: os.stat_result | None) -> Path:
    """Write a new file in the folder of the target. old: the file whose owner and permissions it gets, if any."""
    beside = target.with_name(f".hushtally-{secrets.token_hex(8)}")  # also fits beside a name of the longest length
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if old is None else 0o600)
    _fill(beside, descriptor, data, old)
    return beside


def _fill(path: Path, descriptor: int, data: bytes, old: os.stat_result | None = None) -> None:
    """Write a file that was just created, to the disk; delete it after any failure."""
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None:
                with suppress(PermissionError):  # only root can give a file to another user
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _encoded(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failure(path, error) from None


def _failure(path: Path, error: OSError) -> OutputFileError:
    return OutputFileError(f"{path} cannot be written: {error.strerror or error}")
