"""Compares the lines that a page quotes with what was printed, and finds the lines that it should quote."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Sequence

WIDTH = 100


class PageError(AssertionError):
    """A block of a page failed, or printed something else than the page quotes."""


def compared(shown: list[str], printed: str, random: bool, rewrite: bool, command: str = "the program") -> list[str]:
    """The lines that a page should quote; PageError if it quotes others and they are not to be rewritten."""
    lines = wrapped(printed)
    if matches(shown, lines, random):
        return shown
    if rewrite:
        return refreshed(shown, lines)
    difference = "\n".join(difflib.unified_diff(shown, lines, "the page", "printed", lineterm="", n=1))
    raise PageError(f"{command} prints something else (`python docs/pages.py` rewrites it):\n{difference}")


def wrapped(printed: str) -> list[str]:
    """The lines as a terminal of WIDTH columns with a word wrap shows them."""
    lines: list[str] = []
    for line in printed.rstrip("\n").split("\n"):
        lines += (
            [line.rstrip()]
            if len(line) <= WIDTH
            else textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        )
    return lines if printed.strip() else []


def masked(line: str) -> str:
    """A line without its figures, and without how wide they are."""
    return re.sub(r" +", " ", re.sub(r"[-\d.,%]+|\byes\b|\bno\b", "0", line)).strip()


def segments(shown: Sequence[str]) -> list[list[str]]:
    """The runs of lines between the lines "..."."""
    found: list[list[str]] = [[]]
    for line in shown:
        if line == "...":
            found.append([])
        else:
            found[-1].append(line)
    return found


def matches(shown: Sequence[str], lines: Sequence[str], random: bool) -> bool:
    """Whether the quoted runs of lines were printed, in this order, and nothing else but what "..." stands for."""
    view = masked if random else str.rstrip
    text = [view(line) for line in lines]
    first, *others = ([view(line) for line in run] for run in segments(shown))
    if not others:
        return first == text
    if text[: len(first)] != first:
        return False
    place, last = len(first), others.pop()
    for run in others:
        found = next((at for at in range(place, len(text) + 1) if text[at : at + len(run)] == run), None)
        if found is None:
            return False
        place = found + len(run)
    return len(text) - len(last) >= place and text[len(text) - len(last) :] == last


def refreshed(shown: Sequence[str], lines: Sequence[str]) -> list[str]:
    """What was printed; of a quotation with "..." the runs of lines that resemble the quoted ones most."""
    first, *others = segments(shown)
    if not others:
        return list(lines)
    quoted, place = list(lines[: len(first)]), len(first)
    last = others.pop()
    for run in others:
        ends = range(place, max(place, len(lines) - len(run) - len(last)) + 1)
        at = max(ends, key=lambda start: similarity(run, lines[start : start + len(run)]))
        quoted += ["...", *lines[at : at + len(run)]]
        place = at + len(run)
    return [*quoted, "...", *lines[len(lines) - len(last) :]]


def similarity(some: Sequence[str], others: Sequence[str]) -> float:
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in zip(some, others, strict=False))
