"""The pages for contributors name files, commands and versions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hushtally.version import VERSION

ROOT = Path(__file__).parents[1]
PAGES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))


def read(name: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    """Links to files of the repository, and to headings in these files."""
    for target in re.findall(r"\]\(([^)]+)\)", read(name)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


def test_the_steps_name_files_that_exist() -> None:
    """Every path in CONTRIBUTING.md; `NAME` stands for a new file."""
    paths = set(re.findall(r"`([\w.-]+/[\w./-]*)`", read("CONTRIBUTING.md")))
    assert len(paths) > 20
    assert {path for path in paths if "NAME" not in path and not (ROOT / path).exists()} == set()


def test_the_named_make_targets_exist() -> None:
    """Every `make` command of the pages is a target of the Makefile."""
    targets = set(re.findall(r"^([\w./-]+):", read("Makefile"), re.MULTILINE))
    named = {one for name in PAGES for one in re.findall(r"(?:`|^    )make ([\w./-]+)", read(name), re.MULTILINE)}
    assert named >= {"test", "check"}
    assert named - targets == set()


def test_the_hooks_run_what_make_check_runs() -> None:
    """The same tools, from the project's own environment: a hook downloads nothing."""
    hooks = read(".pre-commit-config.yaml")
    checks = re.findall(r"^\t\$\(BIN\)/(ruff \w+|mypy|codespell)", read("Makefile"), re.MULTILINE)
    assert checks == ["ruff check", "ruff format", "mypy", "codespell"]
    assert re.findall(r"entry: \.venv/bin/(ruff \w+|\w+)", hooks) == checks
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    """`Unreleased` comes first, then the versions, each with groups of the known names."""
    page = read("CHANGELOG.md")
    versions = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert VERSION in versions[1].split()[0]
    groups = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known limits"}
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) <= groups


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_states_what_it_is_for(path: Path) -> None:
    """The front matter has the fields that the host shows in its list."""
    text = path.read_text(encoding="utf-8")
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert front
    assert re.findall(r"^(\w+):", front[1], re.MULTILINE) == ["name", "about", "labels"]


def test_there_is_a_template_for_bugs_questions_and_privacy_concerns() -> None:
    assert [path.stem for path in TEMPLATES] == ["bug", "privacy_concern", "survey_question"]
    for path in TEMPLATES:
        if path.stem != "survey_question":
            assert "SECURITY.md" in path.read_text(encoding="utf-8")
