"""Output files: written as a whole or not at all, with sensible permissions, and without litter."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hushtally.output.output_file import (
    OutputFileError,
    create_folder,
    require_writable_file,
    require_writable_folder,
    write_file,
    write_new_file,
)


def test_a_file_is_created_as_any_other(tmp_path: Path) -> None:
    """A string is UTF-8, and the umask decides about the permissions."""
    (tmp_path / "other").touch()
    write_file(tmp_path / "page.html", "книги \udce9\n")
    assert (tmp_path / "page.html").read_bytes() == "книги \\udce9\n".encode()
    assert (tmp_path / "page.html").stat().st_mode == (tmp_path / "other").stat().st_mode
    write_file(tmp_path / "chart.png", b"\x89PNG\xff")
    assert (tmp_path / "chart.png").read_bytes() == b"\x89PNG\xff"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(mode)
    write_file(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    """A job that root runs does not take the file away from its user."""
    path = tmp_path / "page.html"
    path.write_text("old")
    os.chown(path, 65_534, 65_534)
    write_file(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65_534, 65_534)


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    """The file that the link names is replaced in its own folder, or created there."""
    (tmp_path / "real").mkdir()
    for name in ("there.html", "new.html"):
        link = tmp_path / name
        link.symlink_to(f"real/{name}")
        if name == "there.html":
            link.write_text("old")
        write_file(link, "new")
        assert link.is_symlink()
        assert (tmp_path / "real" / name).read_text() == "new"
    assert len(list((tmp_path / "real").iterdir())) == 2


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """While a file is replaced again and again, it always has one of its complete contents."""
    path, contents = tmp_path / "page.html", {"a" * 300_000, "b" * 200_000}
    write_file(path, next(iter(contents)))
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for content in contents:
                write_file(path, content)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(200):
            assert path.read_text() in contents
    finally:
        stop.set()
        writer.join()


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    """The file beside it has a short name."""
    write_file(tmp_path / ("n" * 255), "new")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_what_is_not_a_file_is_written_to(tmp_path: Path) -> None:
    """/dev/null and a pipe stay what they are."""
    require_writable_file(Path("/dev/null"))
    write_file(Path("/dev/null"), "new")
    assert not Path("/dev/null").is_file()
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_file(tmp_path / "pipe", "new")
    reader.join()
    assert found == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def create(path: Path, text: str) -> None:
    write_new_file(path, text, "page.html")


@pytest.mark.parametrize(
    ("write", "call"),
    [(write_file, "write"), (write_file, "fsync"), (write_file, "replace"), (create, "write"), (create, "fsync")],
)
def test_a_failure_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None], call: str
) -> None:
    """A full disk, an interrupt: the old file is as it was, a new one does not exist, and nothing lies beside it."""
    path = tmp_path / "page.html"
    if write is write_file:
        path.write_text("old")

    errors: list[BaseException] = [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def fail(*_: object) -> None:
        raise errors.pop()

    if call == "write":
        monkeypatch.setattr("hushtally.output.output_file.open", lambda *_: fail(), raising=False)
    elif call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    for expected in (OutputFileError, KeyboardInterrupt):
        with pytest.raises(expected) as caught:
            write(path, "new")
        assert str(caught.value) in ("", f"{path} cannot be written: No space left on device")
        assert [one.read_text() for one in tmp_path.iterdir()] == (["old"] if write is write_file else [])


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "survey.toml"
    write_new_file(path, "mine", "survey.toml")
    with pytest.raises(OutputFileError, match="already exists and was not changed; give another name"):
        write_new_file(path, "yours", "survey.toml")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputFileError, match="already exists"):
        write_new_file(tmp_path / "link", "yours", "survey.toml")
    assert path.read_text() == "mine"
    with pytest.raises(OutputFileError, match=f"{tmp_path} is a directory; give a file name, such as {tmp_path}/x.md"):
        write_new_file(tmp_path, "yours", "x.md")


def test_a_link_that_leads_to_itself_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for write in (lambda path: write_file(path, "new"), require_writable_file):
        with pytest.raises(OutputFileError, match="loop cannot be written: Too many levels of symbolic links"):
            write(tmp_path / "loop")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/page.html", "No such file or directory"),
        ("file/page.html", "Not a directory"),
        (".", "Is a directory"),
        ("n" * 256, "File name too long"),
    ],
)
def test_the_check_and_the_write_give_the_same_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    for write in (lambda path: write_file(path, "new"), require_writable_file):
        with pytest.raises(OutputFileError) as caught:
            write(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} cannot be written: {reason}"


def test_a_folder_is_created_with_its_parents(tmp_path: Path) -> None:
    require_writable_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    create_folder(tmp_path / "a" / "b")
    create_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for check in (create_folder, require_writable_folder):
        with pytest.raises(OutputFileError, match="file/b cannot be written: Not a directory"):
            check(tmp_path / "file" / "b")
