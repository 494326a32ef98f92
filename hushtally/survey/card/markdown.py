"""A document as Markdown, with tables as GitHub shows them. Text is never markup."""

from __future__ import annotations

import re

from hushtally.survey.card.document import Block, Document, Items, Paragraph, Signatures, Table

# characters that can begin markup anywhere, and an underscore that is not inside a word
MARKUP = re.compile(r"[\\`|<\[*~&$]|(?<![^\W_])_|_(?![^\W_])")
BEGINNING = re.compile(r"^(?:[#>+=-]|\d+(?=[.)]))")  # a heading, a quote, a list or a rule, at the beginning of a line
BLANK = "\\_" * 30


def to_markdown(document: Document) -> str:
    """The document in Markdown."""
    parts = [f"# {_escape(document.title)}", *map(_block, document.opening)]
    for number, section in enumerate(document.sections, 1):
        parts += [f"## {number}. {_escape(section.heading)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, strong):
            return f"**{_escape(text)}**" if strong else _line(text)
        case Items(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Table():
            return _table(block)
        case Signatures(people):
            rows = [(role, name, BLANK, BLANK) for role, name in people]
            return _rows(("As", "Name", "Signature", "Date"), [(_escape(a), _escape(b), c, d) for a, b, c, d in rows])


def _table(table: Table) -> str:
    rows = [tuple("<br>".join(map(_escape, cell.split("\n"))) for cell in row) for row in table.rows]
    return f"{_line(table.caption)}:\n\n{_rows(tuple(map(_escape, table.header)), rows)}"


def _rows(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(text: str) -> str:
    """The text as a line of its own."""
    escaped = _escape(text)
    return BEGINNING.sub(lambda found: found[0] + "\\" if found[0].isdigit() else f"\\{found[0]}", escaped)


def _escape(text: str) -> str:
    """The text on one line, with the characters escaped that Markdown could interpret as markup."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
