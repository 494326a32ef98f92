"""The output streams: no character makes a command fail, and data for programs is UTF-8."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from hushtally.output.streams import prepare_streams, print_data, print_text


class Stream(io.TextIOWrapper):
    """A text stream in memory."""

    def __init__(self, encoding: str, errors: str = "strict") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors=errors)

    @property
    def written(self) -> bytes:
        """The bytes that were written."""
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, encoding: str, errors: str = "strict") -> Stream:
    """A new stream in place of stdout or stderr."""
    stream = Stream(encoding, errors)
    monkeypatch.setattr(sys, name, stream)
    return stream


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_text_is_escaped_and_data_is_utf_8(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    stdout = replaced(monkeypatch, "stdout", encoding)
    print_text("книги \x1b[1m")
    shown = "книги" if encoding == "utf-8" else r"\u043a\u043d\u0438\u0433\u0438"
    assert stdout.written.decode(encoding) == f"{shown} \\x1b[1m\n"
    print_data('"книги"\n')
    assert stdout.written.endswith('\n"книги"\n'.encode())


def test_a_surrogate_in_data_is_escaped_as_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in a database may contain half of a pair. JSON writes it the same way."""
    stdout = replaced(monkeypatch, "stdout", "utf-8")
    print_data('"\ud800"\n')
    assert stdout.written == b'"\\ud800"\n'


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_what_others_print_never_fails(monkeypatch: pytest.MonkeyPatch, errors: str) -> None:
    """The help, and the tables' own lines. In the POSIX locale, Python would write the bytes of a name unchanged."""
    stdout = replaced(monkeypatch, "stdout", "ascii", errors)
    prepare_streams()
    stdout.write("─ \udc9b")
    assert stdout.written == rb"\u2500 \udc9b"


def test_an_error_handler_that_the_user_chose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONIOENCODING=ascii:replace asks for question marks."""
    stdout = replaced(monkeypatch, "stdout", "ascii", "replace")
    prepare_streams()
    stdout.write("─")
    assert stdout.written == b"?"


def test_the_log_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of the collector may contain a name from its database."""
    stderr = replaced(monkeypatch, "stderr", "utf-8")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    prepare_streams()
    log = logging.getLogger("hushtally.collector")
    monkeypatch.setattr(log, "propagate", False)
    log.warning("erased the counts of %s", "a\x1b]0;b\x07")
    assert stderr.written == b"erased the counts of a\\x1b]0;b\\x07\n"


@pytest.mark.parametrize("stream", [None, "broken"])
def test_a_remark_that_nobody_can_read_is_no_failure(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    """stderr is closed, or its reader has gone. A result that cannot be written is a failure."""

    class Broken(Stream):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken("utf-8") if stream else None)
    print_text("wrote card.md", err=True)
    monkeypatch.setattr(sys, "stdout", Broken("utf-8"))
    with pytest.raises(BrokenPipeError):
        print_text("a result")


def test_a_closed_stdout_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no stdout if the caller closed it, as with `>&-` in a shell."""
    monkeypatch.setattr(sys, "stdout", None)
    prepare_streams()
    print_text("a result")
    print_data("[]\n")
    sys.stdout.close()
