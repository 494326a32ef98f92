"""Types of command-line options: numbers as people write them, shapes, and writable paths."""

from __future__ import annotations

import math
import os
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hushtally.output.output_file import require_writable_file, require_writable_folder
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.shape import SHAPE_NAMES, SHAPES, Shape

THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
MAX_EXPONENT = 30  # a larger number would take too long to convert


class Count(click.IntRange):
    """A whole number, which may be written 100,000 or 1e5."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType."""
        text = str(value)
        try:
            number = Decimal(text.replace(",", "") if THOUSANDS.fullmatch(text) else text)
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite() or number.adjusted() > MAX_EXPONENT or number % 1:
            self.fail(f"{text!r} is not a whole number; write it like 100000, 100,000 or 1e5", param, ctx)
        return super().convert(int(number), param, ctx)


class Number(click.FloatRange):
    """A finite number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return super().convert(number, param, ctx)


class Share(click.FloatRange):
    """A share, which may be written as a percentage."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType."""
        text = str(value).strip()
        try:
            number = float(f"{text[:-1].rstrip()}e-2" if text.endswith("%") else text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{text!r} is not a share; write it like 0.03 or 3%", param, ctx)
        if 1 < number <= 100:
            self.fail(f"{text} is more than 100%; write {number:g}% or {number / 100:g}", param, ctx)
        return super().convert(number, param, ctx)


class ShapeName(click.ParamType[str]):
    """The name of a shape; with `or_file`, also the path of a file."""

    name = "shape"

    def __init__(self, or_file: bool = False) -> None:
        self.or_file = or_file

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType."""
        if self.or_file and value.partition(":")[0] not in SHAPES:
            if not os.access(value, os.F_OK):
                self.fail(f"{value!r} is neither a file nor a shape ({SHAPE_NAMES})", param, ctx)
            return value
        try:
            Shape.parse(value)
        except SimulationError as error:
            self.fail(str(error), param, ctx)
        return value


class OutputFile(click.Path):
    """A file that can be written or created."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType; OutputFileError if the file cannot be written."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_writable_file(path)
        return path


class OutputFolder(click.Path):
    """A folder that can be written or created."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType; OutputFileError if the folder cannot be written."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_writable_folder(path)
        return path
