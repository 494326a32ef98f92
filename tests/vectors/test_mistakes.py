"""The vectors show the mistakes that a client in another language may make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conformance import Vector, vectors
from mistake import FOLDER, Mistake, mistakes
from reference_modules import load, source

BY_CATEGORY = mistakes()
MISTAKES = [
    pytest.param(mistake, id=f"{category}: {mistake.does}", marks=[pytest.mark.slow] if number % 10 else [])
    for category, found in BY_CATEGORY.items()
    for number, mistake in enumerate(found)
]
README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
# the files whose vectors are most likely to show a mistake in a module; they are tried first
LIKELY = {
    "batch": ("delivery", "device"),
    "canonical": ("resolved",),
    "delivery": ("delivery", "device"),
    "described": ("resolved", "limits"),
    "device": ("device",),
    "epochs": ("schedule",),
    "resolved": ("resolved", "limits"),
    "retry_after": ("delivery",),
}
COSTLY = ("device", "limits", "resolved")


def ordered(module: str) -> list[Vector]:
    """All vectors, the likely ones first and the costly ones last."""
    likely = LIKELY.get(module, (module,))
    return sorted(vectors(), key=lambda vector: (vector.file not in likely, vector.file in COSTLY))


def first_failure(mistake: Mistake) -> Vector | None:
    """A vector that fails for a client with this mistake."""
    client = load({mistake.module: mistake.applied(source(mistake.module))})
    for vector in ordered(mistake.module):
        try:
            vector.check(client)
        except Exception:  # a mistake may end in any exception
            return vector
    return None


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_vector_shows_the_mistake(mistake: Mistake) -> None:
    """A client with the mistake fails at least one vector, unless the mistake states why no vector can show it."""
    assert (first_failure(mistake) is None) is bool(mistake.equivalent), mistake.equivalent or "no vector shows it"


def test_every_mistake_changes_one_place_of_the_second_client() -> None:
    """Otherwise a change of the client could silently remove a mistake. No mistake is listed twice."""
    listed = [mistake for found in BY_CATEGORY.values() for mistake in found]
    for mistake in listed:
        assert mistake.applied(source(mistake.module)) != source(mistake.module)
    assert len({(mistake.module, mistake.correct, mistake.mistaken) for mistake in listed}) == len(listed)


def test_a_mistake_that_changes_nothing_is_refused() -> None:
    """For example after the second client was rewritten."""
    mistake = Mistake("does nothing", "words", "no such line\n", "", "")
    with pytest.raises(ValueError, match=r"^the lines of 'does nothing' must occur once in words.py$"):
        mistake.applied(source("words"))


def test_every_file_of_mistakes_is_read() -> None:
    assert len(list(FOLDER.iterdir())) == len(BY_CATEGORY)


def test_the_page_counts_the_mistakes() -> None:
    """The table of the README has a row for every category."""
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| (\d+) \|$", README, re.MULTILINE)
    counted = [
        (category, str(len(found)), str(sum(bool(mistake.equivalent) for mistake in found)))
        for category, found in BY_CATEGORY.items()
    ]
    total = [str(sum(int(row[column]) for row in counted)) for column in (1, 2)]
    assert rows == [*counted, ("all", *total)]
