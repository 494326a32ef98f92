"""Dataclasses as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from hushtally.aggregator.summary import Row


def to_json(rows: Iterable[Any]) -> str:
    """A list of objects, one for every dataclass of `rows`, with its fields as keys; None is null."""
    lines = ",\n".join("  " + json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def to_csv(rows: Iterable[Any], kind: type = Row) -> str:
    """One line for every dataclass `kind` of `rows` under its fields' names; a mapping is "a=1;b=2", None nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow(names)
    writer.writerows([_plain(getattr(row, name)) for name in names] for row in rows)
    return out.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return ";".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
