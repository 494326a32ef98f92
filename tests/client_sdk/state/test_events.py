"""Events: which values are stored, and what happens to damaged ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
import pytest

from hushtally import Client, ClientError, Survey
from hushtally.client_sdk.state import events
from hushtally.client_sdk.survey.vocabulary import REQUIREMENT, storable
from hushtally.client_sdk.testing import ScriptedClock

Make = Callable[..., Client]


class EmptyProxy:
    """A proxy without an object, for example of a web framework outside a request."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("canary")

    @__class__.setter
    def __class__(self, other: Any) -> None:
        raise RuntimeError("canary")


class FailingNumber:
    """A registered number that cannot be converted."""

    def __float__(self) -> float:
        raise RuntimeError("canary")


Real.register(FailingNumber)


STORED: list[tuple[Any, float | str]] = [
    (7, 7),
    (-7.5, -7.5),
    (10**12, 10**12),
    ("", ""),
    ("a" * 100, "a" * 100),
    (Decimal("24.90"), 24.9),
    (Decimal("-1e12"), -1e12),
    (Fraction(1, 4), 0.25),
    (np.int64(7), 7.0),
    (np.uint8(7), 7.0),
    (np.float32(1.5), 1.5),
    (np.float64(24.9), 24.9),
    (np.str_("books"), "books"),
]
REFUSED: list[Any] = [
    True,
    np.bool_(True),
    None,
    math.nan,
    math.inf,
    10**12 + 1,
    10**400,
    "a" * 101,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1000000000000.01"),
    Decimal("1e400"),
    Fraction(10**400),
    np.float32("inf"),
    np.array([1.0]),
    np.datetime64("2026-11-02"),
    1j,
    np.complex64(1),
    b"7",
    [7],
    object(),
    FailingNumber(),
]


@pytest.mark.parametrize(("value", "stored"), STORED, ids=lambda value: type(value).__name__)
def test_numbers_of_all_kinds_and_short_strings_are_stored(value: Any, stored: float | str, make_client: Make) -> None:
    """The file contains JSON numbers and strings. Strict clients accept the same values."""
    assert storable(value) == stored
    client = make_client(strict=True)
    client.record("purchase", category=value)
    assert client.status().counters == {}
    device = client._device
    assert device is not None
    with device._state.lock() as connection:
        rows = connection.execute("SELECT fields FROM events").fetchall()
    assert [json.loads(fields) for (fields,) in rows] == [{"category": stored}]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_every_other_value_is_dropped_and_counted(value: Any, make_client: Make) -> None:
    faults: list[Any] = []
    client = make_client(on_error=faults.append)
    client.record("purchase", category=value)
    assert (faults, client.status().counters) == ([], {"dropped: unusable value": 1})
    with pytest.raises(ClientError, match=rf"^{re.escape(f'field purchase.category {REQUIREMENT}')}"):
        make_client(strict=True).record("purchase", category=value)


def test_a_value_whose_class_cannot_be_read_is_dropped(make_client: Make) -> None:
    faults: list[Any] = []
    client = make_client(on_error=faults.append)
    client.record("purchase", category=EmptyProxy())
    assert (faults, client.status().counters) == ([], {"dropped: unusable value": 1})


@pytest.mark.parametrize(
    "damage",
    [
        "fields = substr(fields, 1, 5)",
        "fields = ''",
        "fields = x'ff00'",
        "fields = CAST(x'ff' AS TEXT)",
        "fields = 7",
        "fields = '[]'",
        "fields = '{\"amount\": NaN}'",
        "fields = '{\"amount\": [1]}'",
        "fields = '{\"amount\": 1e13}'",
        "fields = printf('%.*c', 100000, '[')",
        "day = 'x'",
        "day = 1e300",
        "day = -7",
        "day = CAST(x'ff' AS TEXT)",
        "name = CAST(x'ff' AS TEXT)",
        "name = x'ff'",
    ],
)
def test_a_damaged_event_is_deleted_and_counted_and_the_others_are_used(
    damage: str, make_client: Make, clock: ScriptedClock
) -> None:
    faults: list[Any] = []
    client = make_client(on_error=faults.append)
    client.tick()
    clock.advance(hours=20)
    for amount in range(3):
        client.record("purchase", amount=amount)
    client.status()
    device = client._device
    assert device is not None
    with device._state.lock() as connection:
        connection.execute(f"UPDATE events SET {damage} WHERE id = 2")
    device.journal._pruned_on = clock.now.date()  # expired events are not looked for again today
    clock.advance(hours=4)
    client.tick()
    assert (faults, client.status().counters) == ([], {"dropped: damaged events": 1, "delivered": 1})
    assert client.status().waiting == 1
    with device._state.lock() as connection:
        assert [event.fields["amount"] for event in events.Histories(connection, [device._id]).of(device._id)] == [0, 2]


@pytest.mark.parametrize(
    "damage", ["day = 'x'", "expires = 'x'", "day = CAST(x'ff' AS TEXT)", "name = CAST(x'ff' AS TEXT)"]
)
def test_an_event_without_a_readable_day_is_deleted_with_old_events(
    damage: str, make_client: Make, clock: ScriptedClock
) -> None:
    faults: list[Any] = []
    client = make_client(on_error=faults.append)
    client.tick()
    for amount in range(3):
        client.record("purchase", amount=amount)
    client.status()
    device = client._device
    assert device is not None
    with device._state.lock() as connection:
        connection.execute(f"UPDATE events SET {damage} WHERE id = 2")
    clock.advance(days=1)
    client.tick()
    assert (faults, client.status().silent) == ([], None)
    with device._state.lock() as connection:
        assert [event.fields["amount"] for event in events.Histories(connection, [device._id]).of(device._id)] == [0, 2]


def test_decimal_prices_are_summed_without_rounding(make_client: Make, survey: Survey) -> None:
    """Ten prices of 0.10 are 1, in a sum and therefore in a segment."""
    client = make_client()
    for _ in range(10):
        client.record("purchase", amount=Decimal("0.10"))
    client.status()
    device = client._device
    assert device is not None
    with device._state.lock() as connection:
        found = events.Histories(connection, [device._id]).of(device._id)
    assert survey.signals["spent"].value(found, device._clock().date()) == 1.0
