"""Every survey that is shipped or shown on a page has a lifetime epsilon of at most 3.

An observer who was 10% sure of something about a customer is then at most 70% sure after all reports of a device.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import pages
from hushtally import Survey
from hushtally.client_sdk.explain.belief import belief_bound, format_belief
from hushtally.client_sdk.survey.privacy import within_ceiling
from hushtally.simulations.demo.command import demo
from hushtally.simulations.demo.survey import write_survey
from hushtally.survey.template import LIFETIME_CEILING, NAMES, Template

ROOT = Path(__file__).parents[1]
STATED = re.compile(
    r"at most epsilon ([\d.]*\d) over the whole survey"  # tune
    r"|spent of at most ([\d.]*\d)"  # status
    r"|\(epsilon ([\d.]*\d) for this version\)"  # explain
    r"|[Ll]ifetime epsilon ([\d.]*\d)"  # survey new
)


def shown_surveys(page: Any) -> list[tuple[int, str]]:
    """Every whole survey in a block of a page, also as a later block changes it, with the line of the block."""
    found: list[tuple[int, str]] = []
    for block in page.blocks:
        if block.language == "toml" and {"id", "privacy", "questions"} <= tomllib.loads(block.text).keys():
            found.append((block.start, block.text))
        elif block.language == "diff" and found:
            text = found[-1][1]
            changes = [line for line in block.lines if line[:1] in ("-", "+")]
            for before, after in zip(changes[::2], changes[1::2], strict=True):
                text = text.replace(before[1:], after[1:])
            found.append((block.start, text))
    return found


def test_the_ceiling_is_what_the_pages_say() -> None:
    assert format_belief(belief_bound(0.1, LIFETIME_CEILING)) == "70%"


@pytest.mark.parametrize("name", NAMES)
def test_every_template_keeps_the_ceiling(name: str) -> None:
    assert within_ceiling(Survey.parse(Template.load(name).text).lifetime_epsilon, LIFETIME_CEILING)


def test_the_survey_of_the_demo_keeps_the_ceiling(tmp_path: Path) -> None:
    """With the demo's own epsilon."""
    [epsilon] = [option.default for option in demo.params if option.name == "epsilon"]
    survey = write_survey(tmp_path / "demo.toml", epsilon, date(2026, 11, 30))
    assert within_ceiling(survey.lifetime_epsilon, LIFETIME_CEILING)


def test_every_survey_on_a_page_keeps_the_ceiling() -> None:
    """The blocks that are whole surveys: at least the ones of the tutorial and of the page on epsilon."""
    shown = {
        f"{page.name}:{line}": Survey.parse(text).lifetime_epsilon
        for page in map(pages.Page, pages.all_pages())
        for line, text in shown_surveys(page)
    }
    assert {name.partition(":")[0] for name in shown} >= {"docs/tutorial.md", "docs/howto/choose-epsilon.md"}
    assert len(shown) >= 3
    assert {name: epsilon for name, epsilon in shown.items() if not within_ceiling(epsilon, LIFETIME_CEILING)} == {}


def test_every_lifetime_epsilon_in_an_output_on_a_page_keeps_the_ceiling() -> None:
    """What `survey new`, `explain`, `tune` and a client's status print, as pages quote it."""
    stated = {}
    for page in map(pages.Page, pages.all_pages()):
        text = " ".join(" ".join(block.text.split()) for block in page.blocks)
        stated[page.name] = [float(number) for found in STATED.findall(text) for number in found if number]
    assert len([name for name, numbers in stated.items() if numbers]) >= 3
    assert {name: numbers for name, numbers in stated.items() if max(numbers, default=0) > LIFETIME_CEILING} == {}


def test_every_survey_file_of_the_project_keeps_the_ceiling() -> None:
    """Any file in the folders that people copy from; the demo's file is not TOML before its dates are filled in."""
    files = [path for folder in ("examples", "hushtally", "docs") for path in (ROOT / folder).glob("**/*.toml")]
    surveys = {path.name: Survey.load(path).lifetime_epsilon for path in files if "simulations" not in path.parts}
    assert surveys.keys() >= {f"{name}.toml" for name in NAMES}
    assert {name: epsilon for name, epsilon in surveys.items() if not within_ceiling(epsilon, LIFETIME_CEILING)} == {}
