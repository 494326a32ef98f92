"""Tallies add up, and the database returns exactly the counts that the collector stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, time, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import DatabaseError, EstimateError
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey


def test_every_form_of_input_gives_the_same_tally() -> None:
    expected = Tally.of({3: 2, 2**40: 1})
    for tally in (Tally.of([3, 2**40, 3]), Tally.of([2**40, 3, 3], [1, 1, 1]), Tally.of([3, 2**40, 5], [2, 1, 0])):
        assert tally == expected
    assert expected.symbols.tolist() == [3, 2**40]
    assert expected.counts.dtype == np.int64
    assert expected.n == 3
    assert expected != "a tally"
    assert Tally.of({}).n == 0


def test_tallies_add_up() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.integers(0, 50, 200) for _ in range(3)]
    tallies = [Tally.of(part) for part in parts]
    assert tallies[0] + tallies[1] + tallies[2] == Tally.of(np.concatenate(parts)) == Tally.merge(tallies)
    assert Tally.merge([]) == Tally.of({})


def test_a_histogram_has_the_counts_of_a_range_of_symbols() -> None:
    tally = Tally.of({3: 2, 7: 5})
    assert tally.histogram(0, 4).tolist() == [0, 0, 0, 2]
    assert tally.histogram(4, 8).tolist() == [0, 0, 0, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1]), "there must be as many counts as symbols, got 1 and 2"),
        (([-1],), "symbols and counts must not be negative"),
        (([1], [-1]), "symbols and counts must not be negative"),
    ],
)
def test_invalid_symbols_and_counts_are_an_error(arguments: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        Tally.of(*arguments)


def test_the_database_returns_the_stored_surveys_and_counts(
    database: Path, survey: Survey, tallies: dict[Cell, Tally]
) -> None:
    with Database.open(database) as opened:
        assert opened.surveys() == [("shop", 1)]
        assert opened.survey("shop").digest == survey.digest
        assert opened.contains(survey)
        assert opened.tallies(survey) == tallies


def test_an_id_without_a_version_selects_the_newest_version(
    database: Path, survey_text: str, write_database: Callable[..., Path]
) -> None:
    newer = Survey.parse(survey_text.replace("version = 1", "version = 12"))
    write_database(database, newer, {})
    with Database.open(database) as opened:
        assert opened.survey("shop").version == 12
        assert opened.survey("shop", 1).version == 1
        assert opened.tallies(newer) == {}
        assert not opened.contains(Survey.parse(survey_text.replace("version = 1", "version = 2")))


def test_expired_counts_are_not_read(database: Path, survey: Survey, tallies: dict[Cell, Tally]) -> None:
    """An epoch is left out from its day of erasure on, even if no collector erased its counts."""
    with Database.open(database) as opened:
        for epoch, left in (("2026-W45", {"2026-W46"}), ("2026-W46", set())):
            erased = survey.erased_on(epoch)
            assert {cell.epoch for cell in opened.tallies(survey, erased - timedelta(days=1))} == left | {epoch}
            assert {cell.epoch for cell in opened.tallies(survey, erased)} == left
            elsewhere = datetime.combine(erased, time(13), timezone(timedelta(hours=14)))  # in UTC the day before
            assert {cell.epoch for cell in opened.tallies(survey, elsewhere)} == left | {epoch}
        day = survey.erased_on("2026-W45")
        assert opened.tallies(survey, day) == {
            cell: tally for cell, tally in tallies.items() if cell.epoch == "2026-W46"
        }


def test_a_database_is_read_while_a_collector_writes_and_is_never_changed(database: Path, survey: Survey) -> None:
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("UPDATE counts SET count = count + 1")
    with Database.open(database) as opened:
        before = opened.tallies(survey)
        writer.commit()
        after = opened.tallies(survey)
        assert sum(tally.n for tally in after.values()) > sum(tally.n for tally in before.values())
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            opened._connection.execute("DELETE FROM counts")
    writer.close()


def test_reading_leaves_no_file_beside_the_database(database: Path, survey: Survey) -> None:
    with Database.open(database) as opened:
        opened.tallies(survey)
        assert list(database.parent.iterdir()) == [database]
    assert list(database.parent.iterdir()) == [database]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE surveys SET definition = '{}'", "the definition of shop v1 cannot be read"),
        ("UPDATE surveys SET definition = '['", "the definition of shop v1 cannot be read"),
        ("UPDATE surveys SET digest = 'f00d'", "the definition of shop v1 does not match its digest"),
        ("DELETE FROM surveys", "has no survey 'shop'; the database contains no survey"),
        ("DROP TABLE surveys", "cannot be read: no such table: surveys"),
        ("PRAGMA user_version = 0", "is not a hushtally database"),
    ],
)
def test_a_damaged_database_is_refused(database: Path, sql: str, message: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute(sql)
    connection.commit()
    connection.close()
    with pytest.raises(DatabaseError, match=message), Database.open(database) as opened:
        opened.survey("shop")


@pytest.mark.parametrize("damage", ["epoch = 'week'", "epoch = 7", "cohort = '['", "cohort = '7'", "cohort = x'00'"])
def test_a_damaged_cell_is_an_error(database: Path, survey: Survey, damage: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE cells SET {damage} WHERE cell = (SELECT min(cell) FROM cells)")
    message = "the counts of shop v1 cannot be read: a cell is damaged"
    with Database.open(database) as opened:
        with pytest.raises(DatabaseError, match=message):
            opened.tallies(survey)
        if damage.startswith("epoch"):
            with pytest.raises(DatabaseError, match=message):
                opened.epochs(survey)


def test_a_file_without_permission_is_an_error(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(DatabaseError, match=r"hushtally\.db: cannot be read: Permission denied"):
        Database.open(database)


def test_a_file_that_cannot_be_opened_is_an_error(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(DatabaseError, match="cannot be opened: unable to open database file"):
        Database.open(database)
