"""Fixtures that the tests of simulations share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "hushtally" / "survey" / "templates" / "shop.toml"


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the shop's survey, with 7 answers instead of 3, so that budgets and ceilings have room to differ."""
    text = SHOP.read_text(encoding="utf-8")
    assert "answers_every = 9" in text
    path = tmp_path_factory.mktemp("example") / "shop.toml"
    path.write_text(text.replace("answers_every = 9", "answers_every = 4"), encoding="utf-8")
    return path
