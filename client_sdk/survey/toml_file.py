"""The file of a survey: a text in TOML, which holds one table."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from hushtally.client_sdk.errors import SurveyError

Read = TypeVar("Read")


def read_toml(text: str) -> dict[str, Any]:
    """The table in a survey's text; SurveyError if it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SurveyError(f"is not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise SurveyError("is not TOML that can be read: it is nested too deep or holds too long a number") from None


def read_file(path: str | PathLike[str], parse: Callable[[str], Read]) -> Read:
    """What `parse` makes of the text in a file; SurveyError, every line beginning with the file, if it cannot."""
    try:
        return parse(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SurveyError(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise SurveyError("is not a text file in UTF-8", str(path)) from None
    except SurveyError as error:
        raise SurveyError(error.problems, str(path)) from None
