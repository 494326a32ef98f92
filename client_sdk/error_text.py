"""Text for error messages: values that were given, and names that were probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

MOST_NAMED = 20  # of what is known, in one error line


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """'did you mean ...?' when a known word is close; the word itself is not in it."""
    from difflib import get_close_matches  # costs milliseconds, and only who errs needs it

    close = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' when a known word is close, else the first that are known."""
    known = sorted(known)
    if like := closest_match(word, known):
        return f"; {like}"
    named = [*known[:MOST_NAMED], f"and {len(known) - MOST_NAMED:,} more"] if len(known) > MOST_NAMED else known
    return f"; known: {', '.join(named)}" if known else ""


def shown(value: object) -> str:
    """A value that came, short enough for an error line."""
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: str, longest: int = 64) -> str:
    """A text from the survey as a part of an error: as it is, or in quotes and cut where it would spoil the line."""
    return text if text.isprintable() and len(text) <= longest else shown(text)
