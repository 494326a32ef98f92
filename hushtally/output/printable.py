"""Printable text: escapes what could change a terminal, or what an output cannot encode."""

from __future__ import annotations

SIGNS = {"±": "+/-", "≤": "<=", "≥": ">=", "·": "-", "…": "..."}  # our own signs, where the encoding lacks them


def printable(text: str, encoding: str = "utf-8", *, line_breaks: bool = False) -> str:
    """The text with an escape, like \\x1b or \\u202e, in place of every character that is not printable.

    These are control characters, invisible characters, and bytes of a file name that are not UTF-8. A character that
    the encoding lacks is escaped too. line_breaks: keep line breaks; a name has none.
    """
    if text.isprintable() and _encodable(text, encoding):
        return text
    return "".join(_shown(character, encoding, line_breaks) for character in text)


def _shown(character: str, encoding: str, line_breaks: bool) -> str:
    if line_breaks and character == "\n":
        return character
    if character.isprintable():
        if _encodable(character, encoding):
            return character
        if character in SIGNS:
            return SIGNS[character]
    return character.encode("unicode_escape").decode()


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
