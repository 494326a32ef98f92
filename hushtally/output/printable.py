"""Printable text: escapes characters that could control a terminal or that an output cannot encode."""

from __future__ import annotations

SIGNS = {"±": "+/-", "≤": "<=", "≥": ">=", "·": "-", "…": "..."}  # replacements if the encoding lacks our own signs


def printable(text: str, encoding: str = "utf-8", *, line_breaks: bool = False) -> str:
    """Return the text with an escape, like \\x1b or \\u202e, for every character that is not printable.

    Control characters, invisible characters, and bytes of a file name that are not UTF-8 are not printable. A character
    that the encoding lacks is also escaped. line_breaks: keep line breaks; a name must not contain any.
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
