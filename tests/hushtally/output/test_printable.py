"""Printable text: names are shown as written, and nothing in a name controls a terminal."""

from __future__ import annotations

import pytest

from hushtally.output.printable import printable


@pytest.mark.parametrize("name", ["plan:free:web", "[bold]", "\\[x]", "книги", "書 名", "naïve", "😀", "", "a\\nb"])
def test_a_printable_name_is_shown_as_written(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),  # clears the screen
        ("\x9b31m", r"\x9b31m"),  # the same introducer in one character
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb", r"a\rb"),
        ("a\nb", r"a\nb"),
        ("a\tb", r"a\tb"),
        ("a\x00b\x7fc", r"a\x00b\x7fc"),
        ("gpj\u202eexe", r"gpj\u202eexe"),  # shows what follows from right to left
        ("a\u200bb\u2028c\ufeff", r"a\u200bb\u2028c\ufeff"),
        ("caf\udce9.toml", r"caf\udce9.toml"),  # a byte of a file name that is not UTF-8
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_everything_else_is_escaped(name: str, shown: str) -> None:
    """Control characters, invisible characters and surrogates become escapes as in Python."""
    assert printable(name) == shown
    assert shown.isascii()


def test_a_text_may_keep_its_line_breaks() -> None:
    assert printable("one\ntwo\r\x1b", line_breaks=True) == "one\ntwo\\r\\x1b"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "±2 ≤ книги é…"),
        ("latin-1", r"±2 <= \u043a\u043d\u0438\u0433\u0438 é..."),
        ("ascii", r"+/-2 <= \u043a\u043d\u0438\u0433\u0438 \xe9..."),
        ("koi8-r", r"+/-2 ≤ книги \xe9..."),
    ],
)
def test_what_an_encoding_lacks_is_escaped(encoding: str, shown: str) -> None:
    """Our own signs have a form in ASCII. The result can always be encoded."""
    found = printable("±2 ≤ книги é…", encoding)
    assert found == shown
    assert found.encode(encoding).decode(encoding) == found
