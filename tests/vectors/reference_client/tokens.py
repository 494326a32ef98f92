"""The tokens of a rule."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

MAX_CHARACTERS, MAX_BRACKETS = 500, 20
TOKEN = re.compile(
    r" *(?:(?P<number>(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<string>'[^'\\]*'|\"[^\"\\]*\")(?! *['\"])"
    r"|(?P<word>[A-Za-z_]\w*)(?!['\"])"
    r"|(?P<sign>//|[=!<>]=|[-+*/%<>()\[\],]))",
    re.ASCII,
)


class InvalidRule(Exception):
    """The text is not a rule of the language."""


class Token(NamedTuple):
    kind: str  # number, string, word or sign
    text: str


def tokens(source: str) -> list[Token]:
    require(len(source) <= MAX_CHARACTERS and source.isprintable())
    found = []
    place = 0
    while source[place:].strip():
        match = TOKEN.match(source, place)
        if match is None or match.lastgroup is None:
            raise InvalidRule
        found.append(Token(match.lastgroup, match[match.lastgroup]))
        place = match.end()
    require(open_brackets(found) <= MAX_BRACKETS)
    return found


def open_brackets(found: list[Token]) -> int:
    """The largest number of brackets that are open at once."""
    signs = "".join(token.text for token in found if token.kind == "sign")
    steps = [1 if sign in "([" else -1 for sign in signs if sign in "()[]"]
    return max(accumulate(steps), default=0)


def require(condition: bool) -> None:
    if not condition:
        raise InvalidRule
