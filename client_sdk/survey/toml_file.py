"""The file of a survey: TOML in UTF-8."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from hushtally.client_sdk.errors import SurveyError

Read = TypeVar("Read")


def read_toml(text: str) -> dict[str, Any]:
    """Parse the TOML of a survey. Raises SurveyError if it is not valid TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SurveyError(f"is not valid TOML: {error}") from None
    except (ValueError, RecursionError):
        message = "cannot be parsed: the TOML is nested too deeply or contains a number with too many digits"
        raise SurveyError(message) from None


def read_file(path: str | PathLike[str], parse: Callable[[str], Read]) -> Read:
    """Read a file and parse its contents. Raises SurveyError whose lines all start with the path of the file."""
    try:
        return parse(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SurveyError(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise SurveyError("is not a UTF-8 text file", str(path)) from None
    except SurveyError as error:
        raise SurveyError(error.problems, str(path)) from None
