"""Parts of error messages: values that were given, and names that were probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

MAX_LISTED = 20  # known names in one message


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """Return "did you mean ...?" if a known word is similar, else None. The text does not contain the word itself."""
    from difflib import get_close_matches  # importing it takes milliseconds, and only errors need it

    close = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" if a known word is similar, else "; known: " and the first known words."""
    known = sorted(known)
    if match := closest_match(word, known):
        return f"; {match}"
    listed = [*known[:MAX_LISTED], f"and {len(known) - MAX_LISTED:,} more"] if len(known) > MAX_LISTED else known
    return f"; known: {', '.join(listed)}" if known else ""


def shown(value: object) -> str:
    """Return a value as text, short enough for a message."""
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: str, longest: int = 64) -> str:
    """Return the text unchanged if it fits in a line of a message; otherwise quoted and cut."""
    return text if text.isprintable() and len(text) <= longest else shown(text)
