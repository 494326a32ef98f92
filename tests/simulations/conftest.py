"""Fixtures that the tests of simulations share."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "hushtally" / "example.toml"


@pytest.fixture
def example() -> Path:
    """The path of the example survey."""
    return EXAMPLE
