"""A document as data: sections of paragraphs, lists and tables, which are rendered as Markdown or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text. strong: it is emphasized as a whole."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list of plain texts, one an item."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of plain texts. The first cell of a row is its heading. A line break in a cell begins a new paragraph."""

    caption: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Signatures:
    """Lines for signatures. people: who signs, and as what."""

    people: Sequence[tuple[str, str]]


Block = Paragraph | Items | Table | Signatures


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A document. opening: the blocks between the title and the first section."""

    title: str
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
