"""Copies of JSON values with one change."""

from __future__ import annotations

from typing import Any

REMOVED = object()


def edited(value: Any, place: list[Any], new: Any) -> Any:
    """A copy of a value with another value at a place, or without the value there.

    place: keys and indices. A key that does not exist is added. new: the value, a function of the present value, or
    REMOVED.
    """
    if not place:
        return new
    first, *rest = place
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[first] = edited(copy[first], rest, new)
    elif new is REMOVED:
        del copy[first]
    else:
        copy[first] = new(copy[first]) if callable(new) else new
    return copy
