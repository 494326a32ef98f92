"""Every command on a page runs and prints what the page quotes; every link leads somewhere; the site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import pages
from page_text import ROOT
from quotation import PageError

REPOSITORY_PAGES = [  # beside the site's
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "examples").glob("*.md"), ROOT / "benchmarks" / "README.md"]
    if path.exists()
]


DIRECTIVES = ("{toctree}", "{eval-rst}", "{include}", "{literalinclude}", "{image}")
ALL = [pages.Page(path) for path in pages.all_pages()]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.slow else []) for page in ALL if page.runs],
)
def test_a_page_runs_and_quotes_what_is_printed(page: Any) -> None:
    """From its first block to its last, in an empty folder; `python docs/pages.py` rewrites quoted outputs."""
    page.run()


def test_every_block_is_run_or_known_to_be_text() -> None:
    """A block of another language than these would silently never run."""
    languages = {block.language for page in ALL for block in page.blocks}
    assert languages <= {*pages.RUNNERS, "text", "nginx", *DIRECTIVES}


def test_a_page_that_quotes_something_else_is_found_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mechanism itself: what differs fails; a rewrite keeps "..." and leaves other blocks alone."""
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "examples").mkdir()
    page = tmp_path / "page.md"
    text = (
        "# A\n\n```console\n$ seq 1 9\n1\n2\n...\n{}\n...\n9\n```\n\n"
        "<!-- random -->\n```console\n$ echo took $RANDOM s\ntook 7 s\n```\n"
    )
    page.write_text(text.format("5"), encoding="utf-8")
    assert not pages.Page(page).run(rewrite=True)
    page.write_text(text.format("55"), encoding="utf-8")
    with pytest.raises(PageError, match=r"page.md:4: seq 1 9 prints something else"):
        pages.Page(page).run()
    assert pages.Page(page).run(rewrite=True)
    assert page.read_text(encoding="utf-8") == text.format("5")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```console\n$ false\n```", "false: exit code 1 instead of 0"),
        ("<!-- exit: 3 -->\n```console\n$ exit 2\n```", "exit 2: exit code 2 instead of 3"),
        ("```python\nraise SystemExit(4)\n```", "exit code 4 instead of 0"),
        ("```console\n$ make nothing\n```", "the Makefile has no target nothing"),
        ("<!-- file: a.toml -->\n```toml\nx = 1\n```\n\n```diff\n-x = 2\n+x = 3\n```", "the diff does not fit a.toml"),
        ("```console\n$ echo 1\n1\n2\n```", "echo 1 prints something else"),
    ],
)
def test_a_block_that_fails_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: str, message: str
) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "examples").mkdir()
    (tmp_path / "Makefile").write_text("all:\n", encoding="utf-8")
    (tmp_path / "page.md").write_text(f"# A\n\n{block}\n", encoding="utf-8")
    with pytest.raises(PageError, match=re.escape(message)) as error:
        pages.Page(tmp_path / "page.md").run()
    assert re.match(r"page\.md:\d+: ", str(error.value))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def links(path: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize(
    "path",
    [*REPOSITORY_PAGES, *(page.path for page in ALL if "docs" in page.path.parts)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_link_leads_somewhere(path: Path) -> None:
    """Each relative link names a file or folder of the project, and its anchor a heading there."""
    broken = []
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(link)
        elif anchor and target.suffix == ".md":
            source = (
                ROOT / "tests" / "vectors" / "README.md" if target.name == "vectors.md" else target
            )  # it includes that
            broken += [] if anchor in anchors(source) else [link]
    assert broken == []


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Any) -> None:
    """Paths in the text that begin with a folder of the project."""
    text = "\n".join(line for line in page.lines if not line.startswith("$ "))
    folders = "client_sdk|collector|aggregator|simulations|hushtally|tests|benchmarks|examples|docs"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    built = "docs/_build/"  # exists only after `make docs`
    assert [name for name in named if not name.startswith(built) and not (ROOT / name).exists()] == []


def test_every_page_is_linked_from_its_part() -> None:
    """Whoever reads on GitHub, without the site's navigation, finds every page."""
    for part in ("howto", "reference", "explanation"):
        folder = ROOT / "docs" / part
        listed = {link.partition("#")[0] for link in links(folder / "index.md")}
        assert {path.name for path in folder.glob("*.md")} - {"index.md"} == listed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a warning is an error."""
    built = tmp_path_factory.mktemp("site")
    [recipe] = re.findall(
        r"^\t\$\(BIN\)/sphinx-build (.*) docs docs/_build/html$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert {"--fail-on-warning", "--keep-going", "--nitpicky"} <= set(recipe.split())
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *recipe.split(), "-d", str(built / "doctrees"), "docs", str(built / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return built / "html"


class Loads(HTMLParser):
    """What a page loads without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "object"):
            self.loads.append(named.get("src") or "")
        elif tag == "link" and named.get("rel") in ("stylesheet", "preload", "icon", "preconnect"):
            self.loads.append(named.get("href") or "")


def test_the_site_builds_and_loads_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles, fonts and pictures are files of the site; the search needs no service."""
    built = sorted(site.rglob("*.html"))
    assert {str(path.relative_to(site)) for path in built} >= {
        str(page.path.relative_to(ROOT / "docs").with_suffix(".html"))
        for page in ALL
        if page.path.is_relative_to(ROOT / "docs") and page.path.name != "README.md"
    }
    for path in built:
        parser = Loads()
        parser.feed(path.read_text(encoding="utf-8"))
        assert [one for one in parser.loads if "//" in one] == [], path.name
    for style in site.rglob("*.css"):
        assert not re.findall(r"@import|url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name
    assert "epsilon" in (site / "searchindex.js").read_text(encoding="utf-8")


def test_the_site_shows_mathematics_without_a_script(site: Path) -> None:
    page = (site / "explanation" / "mechanisms.html").read_text(encoding="utf-8")
    assert page.count("<math") > 20
    assert "mathjax.js" not in page.lower()


def test_the_reference_has_every_command_and_option(site: Path) -> None:
    """The page is generated from click, so it is current; this finds a command that the generator left out."""
    import click

    from hushtally.cli import main

    def all_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                yield from all_commands(found, f"{name} {child}")

    page = re.sub(r"<[^>]+>", "", (site / "reference" / "command.html").read_text(encoding="utf-8"))
    for name, command in all_commands(main, "hushtally"):
        assert name in page
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help":
                assert parameter.opts[-1] in page, (name, parameter.opts)


def test_the_reference_has_every_public_name(site: Path) -> None:
    import hushtally
    import hushtally.testing

    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    names = [f"hushtally.{name}" for name in hushtally.__all__]
    names += [f"hushtally.testing.{name}" for name in hushtally.testing.__all__]
    missing = [name for name in names if f'id="{name}"' not in page]
    assert missing == []
