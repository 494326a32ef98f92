"""What the tests of simulations share."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "hushtally" / "example.toml"


@pytest.fixture
def example() -> Path:
    """The example survey that ships."""
    return EXAMPLE
