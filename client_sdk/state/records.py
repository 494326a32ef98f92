"""The records of a device: everything that its checksum covers, read at once, changed in memory, written at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from hushtally.client_sdk.state import checksum, erasure
from hushtally.client_sdk.state.facts import Facts, Rollbacks

Row = tuple[object, ...]
_KEYS = {  # the primary key of every table, without the device
    "consents": ("survey",),
    "schedules": ("digest",),
    "answers": ("digest", "question", "value"),
    "ledger": ("survey", "question", "epoch"),
}
_COLUMNS = {"consents": 7, "schedules": 12, "answers": 6, "ledger": 6}


@dataclass
class Records(Facts):
    """The facts of one device, its permanent answers and its ledger.

    answers: the symbol and the place in the order of use, by digest, question and value; values are true values.
    ledger: the digest and the epsilon, by survey, question and epoch. intact: whether the rows match their checksum.
    """

    answers: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict, repr=False)
    ledger: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)
    _before: dict[str, dict[Row, Row]] = field(default_factory=dict, repr=False)

    _READ: ClassVar[dict[str, str]] = {
        "answers": "SELECT * FROM answers WHERE device IN {} ORDER BY device, digest, question, value",
        "ledger": "SELECT * FROM ledger WHERE device IN {} ORDER BY device, survey, question, epoch",
    }

    @classmethod
    def of_unknown_device(cls) -> Self:
        """Return the records of a device that is not in the file."""
        return cls(0, 0, Rollbacks(0, None), {}, {}, {})

    @classmethod
    def of_new_device(cls, connection: sqlite3.Connection, device: int) -> Self:
        """Return the records of a device that was added in this transaction."""
        number, day = connection.execute("SELECT rollbacks, rollback_day FROM file").fetchone()
        return cls(device, 0, Rollbacks(number, day, day), {}, {}, {})

    @classmethod
    def _read_together(cls, connection: sqlite3.Connection, numbers: str) -> dict[int, Self]:
        found = super()._read_together(connection, numbers)
        for device, digest, question, value, symbol, used in connection.execute(cls._READ["answers"].format(numbers)):
            if device in found:
                found[device].answers[digest, question, value] = symbol, used
        for device, id, question, epoch, digest, epsilon in connection.execute(cls._READ["ledger"].format(numbers)):
            if device in found:
                found[device].ledger[id, question, epoch] = digest, epsilon
        for device, stored in connection.execute(f"SELECT device, checksum FROM devices WHERE device IN {numbers}"):
            one = found[device]
            one._before = one._tables()
            one.intact = stored == checksum.of_device(one._before)
        return found

    def _tables(self) -> dict[str, dict[Row, Row]]:
        """The rows of every table, by their keys."""
        device = self.device
        return {
            "consents": {(key,): tuple(row) for key, row in self.consents.items()},
            "schedules": {(key,): row.row for key, row in self.schedules.items()},
            "answers": {key: (device, *key, *row) for key, row in self.answers.items()},
            "ledger": {key: (device, *key, *row) for key, row in self.ledger.items()},
        }

    @classmethod
    def write_all(cls, connection: sqlite3.Connection, several: Iterable[Self]) -> None:
        """Write what changed, with new checksums; in the transaction that read the records.

        A device whose records were damaged stays damaged: its checksum is not renewed.
        """
        put: dict[str, list[Row]] = {name: [] for name in _KEYS}
        deleted: dict[str, list[Row]] = {name: [] for name in _KEYS}
        checksums = []
        rollbacks = None
        for one in several:
            after = one._tables()
            rollbacks = one.rollbacks
            if after == one._before:
                continue
            for name, rows in after.items():
                before = one._before.get(name, {})
                put[name] += [row for key, row in rows.items() if before.get(key) != row]
                deleted[name] += [(one.device, *key) for key in before.keys() - rows.keys()]
            if one.intact:
                checksums.append((checksum.of_device(after), one.device))
            one._before = after
        for name, key in _KEYS.items():
            condition = " AND ".join(f"{column} = ?" for column in ("device", *key))
            if deleted[name]:
                connection.executemany(f"DELETE FROM {name} WHERE {condition}", deleted[name])
            if put[name]:
                places = ", ".join("?" * _COLUMNS[name])
                connection.executemany(f"INSERT OR REPLACE INTO {name} VALUES ({places})", put[name])
        if checksums:
            connection.executemany("UPDATE devices SET checksum = ? WHERE device = ?", checksums)
        if deleted["answers"]:  # true values
            erasure.request(connection)
        if rollbacks is not None:
            rollbacks.write(connection)
