"""What options of the commands take: numbers as people write them, shapes, and places that can be written."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import SHAPE_NAMES, SHAPES, Shape

GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
LONGEST = 30  # characters of a number


class Count(click.IntRange):
    """A whole number, also written 100,000 or 1e5."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType."""
        text = str(value)
        try:
            number = Decimal(text.replace(",", "") if GROUPED.fullmatch(text) else text)
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite() or number.adjusted() > LONGEST or number % 1:
            self.fail(f"{text!r} is not a whole number; write it like 100000, 100,000 or 1e5", param, ctx)
        return super().convert(int(number), param, ctx)


class Number(click.FloatRange):
    """A number that is one."""

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
    """A share, also written as so many percent."""

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
            self.fail(f"{text} is more than all; write {number:g}% or {number / 100:g}", param, ctx)
        return super().convert(number, param, ctx)


class ShapeName(click.ParamType[str]):
    """The name of a shape; or_file: or else a file."""

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


class NewFile(click.Path):
    """A file that can be written, there or not."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType; ClickException if it cannot be written."""
        place = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_writable(place)
        return place


class NewFolder(click.Path):
    """A folder that can be made and written into, there or not."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ParamType; ClickException if it cannot be written."""
        place = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_room(place, [place, *place.absolute().parents])
        return place


def require_writable(file: Path) -> None:
    """ClickException if a file cannot be written, before there is anything to write."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
    except FileNotFoundError:
        require_room(file, [file.parent])
    except OSError as error:
        raise _refused(file, error) from None


def require_room(place: Path, folders: Sequence[Path]) -> None:
    """ClickException, about a place, if no file can be made in the first of the folders that is there."""
    for folder in folders:
        try:
            return tempfile.TemporaryFile(dir=folder).close()
        except FileNotFoundError as error:
            missing = error
        except OSError as error:
            raise _refused(place, error) from None
    raise _refused(place, missing)


def _refused(place: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"{place} cannot be written: {error.strerror}")
