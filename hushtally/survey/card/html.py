"""A document as one HTML page, which contains no script, loads nothing, and can be printed and signed."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment

from hushtally.survey.card.document import Document


def to_html(document: Document) -> str:
    """The document as a page in HTML."""
    template = files("hushtally.survey.card").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string(template).render(document=document, kind=lambda block: type(block).__name__)
