"""The published vectors, read from their files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@cache
def load(name: str) -> dict[str, Any]:
    """The contents of one file, such as "rules"."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


def number(value: Any) -> Any:
    """A number of a vector as a double: JSON has integers, and no infinity. Other values are unchanged."""
    return float(value) if isinstance(value, int) or value in ("infinity", "-infinity") else value


def signal_values(case: dict[str, Any]) -> dict[str, Any]:
    """The signals of a case, with numbers as doubles."""
    return {name: number(value) for name, value in case["signals"].items()}
