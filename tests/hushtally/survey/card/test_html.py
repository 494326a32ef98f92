"""The card as a page: valid, self-contained, readable with a screen reader, and ready for print."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from card_context import PERMANENT, SURVEY, answers, read
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.html import to_html

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</td></table><script>alert(1)</script><img src=http://spy.example onerror='x'>{{ 7 * 7 }}{% raw %}&amp;\"'"


class Page(HTMLParser):
    """The elements of a page. Raises AssertionError if an element is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parents: list[tuple[str, str]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        self.parents.append((tag, self.open[-1] if self.open else ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self, tag: str) -> list[str]:
        return [text for name, text in self.text if name == tag]


@pytest.fixture(scope="module", params=["empty", "answered", "permanent", "hostile"])
def page(request: pytest.FixtureRequest) -> str:
    """The pages of several cards."""
    survey = Survey.parse(PERMANENT if request.param == "permanent" else SURVEY)
    table = {} if request.param == "empty" else answers(survey)
    if request.param == "hostile":
        table |= {"controller": HOSTILE, "dpo": {"not_applicable": HOSTILE}, "approver": HOSTILE}
    return to_html(card(survey, read(survey, table)))


def test_every_element_is_closed_and_in_its_place(page: str) -> None:
    """What a parser of HTML would have to repair is a mistake."""
    found = Page(page)
    assert page.startswith("<!doctype html>\n")
    places = {"tr": {"thead", "tbody"}, "td": {"tr"}, "th": {"tr"}, "caption": {"table"}, "li": {"ul", "ol"}}
    for tag, parent in found.parents:
        assert parent in places.get(tag, {parent})
        assert not (tag in {"table", "ul", "div", "section", "h2"} and parent == "p")
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("main")) == len(found.all("title")) == 1
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_the_headings_are_in_order(page: str) -> None:
    """One heading of level 1, then every section has one of level 2; none is skipped."""
    levels = [int(tag[1]) for tag, _ in Page(page).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(levels) == 13
    assert [text.partition(".")[0] for text in Page(page).words("h2")] == [str(number) for number in range(1, 13)]


def test_every_link_of_the_contents_leads_to_a_section(page: str) -> None:
    found = Page(page)
    ids = [attributes["id"] for attributes in found.all("h2")]
    assert [attributes["href"] for attributes in found.all("a")] == [f"#{id}" for id in ids]
    assert [attributes["aria-labelledby"] for attributes in found.all("section")] == ids


def test_every_table_has_a_caption_and_headings(page: str) -> None:
    """A screen reader announces the caption of a table, and the headings of its columns and rows."""
    tables = re.findall(r"<table[^>]*>(.*?)</table>", page, re.DOTALL)
    captions = [re.match(r"\s*<caption>([^<]+)</caption>", table) for table in tables]
    assert all(captions)
    assert len({caption[1] for caption in captions if caption}) == len(tables)
    for table in tables:
        head, _, body = table.partition("</thead>")
        columns = head.count('<th scope="col">')
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL):
            assert row.count('<th scope="row">') == 1
            assert row.count("<td>") == columns - 1


def test_the_page_contains_no_script_and_loads_nothing(page: str) -> None:
    """The browser is told to refuse all requests, too."""
    found = Page(page)
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"script", "img", "iframe", "link", "object", "embed", "form", "input", "base", "svg"}
    names = {name for _, attributes in found.elements for name in attributes}
    assert names <= {
        "lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "scope", "role", "tabindex",
        "aria-label", "aria-labelledby",
    }  # fmt: skip
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    policy = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_text_is_never_markup() -> None:
    """Neither HTML nor the language of the template is interpreted."""
    survey = Survey.parse(SURVEY.replace('title = "How people', 'title = "<b>{{ 7 * 7 }}</b> How people'))
    table = answers(survey) | {"controller": HOSTILE, "approver": HOSTILE}
    text = to_html(card(survey, read(survey, table)))
    shown = Page(text)
    assert shown.words("h1") == [f"Data protection impact assessment: {survey.title}"]
    assert "49" not in " ".join(shown.words("h1"))
    assert shown.words("td").count(HOSTILE) == 3  # the controller, the approver, and the line for the signature
    assert shown.all("b") == []


def test_an_open_question_is_marked() -> None:
    """By its words as well as by its colour: in the table of answers, among the ratings, and beside a signature."""
    survey = Survey.parse(SURVEY)
    empty = Page(to_html(card(survey, Context())))
    marked = empty.words("span")
    assert len(marked) > 60
    assert all(text.startswith("NOT ANSWERED: ") for text in marked)
    assert "NOT ANSWERED" not in to_html(card(survey, read(survey, answers(survey))))


def test_paragraphs_of_an_answer_are_kept() -> None:
    survey = Survey.parse(SURVEY)
    assert "<td>Host Ltd<br>Mail Ltd</td>" in to_html(
        card(survey, read(survey, {"processors": ["Host Ltd", "Mail Ltd"]}))
    )


def contrast(one: str, other: str) -> float:
    """The contrast of two colours like #1c1c1c (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_page_is_readable_in_light_and_dark_and_on_paper(page: str) -> None:
    """Text has a contrast of at least 7, lines of at least 3, and paper is white."""
    schemes = re.findall(r":root \{([^}]*)\}", page)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w+)", scheme))
        assert contrast(colours["text"], colours["page"]) >= 7
        assert contrast(colours["mark"], colours["page"]) >= 4.5
        assert contrast(colours["line"], colours["page"]) >= 3
    assert "prefers-color-scheme: dark" in page
    assert "--page: #fff" in page.partition("@media print")[2]


def test_the_page_has_lines_for_signatures(page: str) -> None:
    [table] = re.findall(r'<table class="signature">(.*?)</table>', page, re.DOTALL)
    assert table.count("<td></td><td></td>") == 3
