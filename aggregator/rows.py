"""Rows of a result as JSON and CSV; a row is any dataclass."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from hushtally.aggregator.row import Row


def to_json(rows: Iterable[Any]) -> str:
    """Return a JSON array with one object for each row. The keys are the fields of the dataclass, and None is null."""
    lines = ",\n".join("  " + json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def to_csv(rows: Iterable[Any], kind: type = Row) -> str:
    """Return CSV: a header with the fields of the dataclass `kind`, and one line for each row.

    A mapping is written as "a=1;b=2", a tuple as "a; b", None as an empty field.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow(names)
    writer.writerows([_csv_value(getattr(row, name)) for name in names] for row in rows)
    return out.getvalue()


def _csv_value(value: object) -> object:
    if isinstance(value, Mapping):
        return ";".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
