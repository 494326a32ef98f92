"""The card in Markdown: the tables are tables, and no text is markup."""

from __future__ import annotations

import re
from html import unescape

import pytest
from markdown_it import MarkdownIt

from card_context import SURVEY, answers, read
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Document, Items, Paragraph, Section, Signatures, Table
from hushtally.survey.card.markdown import to_markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "<!-- gone",
    "[x](javascript:alert(1))",
    "![x](http://spy.example/x.png)",
    "<http://spy.example>",
    "# heading",
    "> quote",
    "- item",
    "+ item",
    "1. item",
    "2) item",
    "---",
    "===",
    "a | b",
    "a \\| b",
    "*strong* _emphasis_ __both__ **all**",
    "~~gone~~",
    "`code` ``code``",
    "```",
    "&lt;b&gt; &amp;",
    "$x$ $$y$$",
    "{ref}`x`",
    "a  <br>  b",
    "back\\slash \\",
    "snake_case_name _",
    "[^1] [ ] [x]",
]


def render(document: Document) -> str:
    """The document as a reader of Markdown shows it, with HTML, tables and strikethrough allowed."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(to_markdown(document))


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """Neither a title nor an answer can add a link, a picture, a script or a column."""
    shown = " ".join(text.split())
    document = Document(
        text,
        (Paragraph(text), Paragraph(text, strong=True), Items([text])),
        (Section(text, (Table(text, (text, "b"), [(text, text)]), Signatures([(text, text)]))),),
    )
    html = render(document)
    allowed = {"h1", "h2", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag.strip("/") for tag in re.findall(r"<(/?\w+)", html)} <= allowed
    assert len(re.findall(r"<tr>", html)) == 4
    cells = [plain(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", html, re.DOTALL)]
    assert cells[:4] == [shown, "b", shown, shown]
    assert [plain(line) for line in re.findall(r"<p>(.*?)</p>", html, re.DOTALL)] == [shown, shown, f"{shown}:"]
    assert plain(re.search(r"<li>(.*?)</li>", html, re.DOTALL)[1]) == shown  # type: ignore[index]
    assert plain(re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)[1]) == shown  # type: ignore[index]
    assert plain(re.search(r"<h2>(.*?)</h2>", html, re.DOTALL)[1]) == f"1. {shown}"  # type: ignore[index]


def test_text_of_the_survey_and_of_the_context_is_never_markup() -> None:
    survey = Survey.parse(SURVEY.replace('title = "How people', 'title = "<script>|[x](y) *How* people'))
    table = answers(survey) | {"controller": "<img src=x> | # a", "dpo": {"not_applicable": "<b>none</b> | here"}}
    text = to_markdown(card(survey, read(survey, table)))
    assert "# Data protection impact assessment: \\<script>\\|\\[x](y) \\*How\\* people" in text
    assert "| Controller | \\<img src=x> \\| # a |" in text
    assert "| Data protection officer | Not applicable: \\<b>none\\</b> \\| here |" in text


def test_paragraphs_of_an_answer_are_kept() -> None:
    survey = Survey.parse(SURVEY)
    text = to_markdown(card(survey, read(survey, {"processors": ["Host Ltd", "Mail Ltd"]})))
    assert "| Processors | Host Ltd<br>Mail Ltd |" in text


def test_every_row_of_the_card_has_its_columns() -> None:
    """A reader of tables finds the same number of cells in every row of a table."""
    survey = Survey.parse(SURVEY)
    html = render(card(survey, read(survey, answers(survey))))
    tables = re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    assert len(tables) > 15
    for table in tables:
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        assert len({len(re.findall("<t[hd]>", row)) for row in rows}) == 1


def test_the_card_has_lines_for_signatures() -> None:
    survey = Survey.parse(SURVEY)
    text = to_markdown(card(survey, Context()))
    assert "| As | Name | Signature | Date |" in text
    assert text.count("\\_" * 30) == 6
