"""Tallies add up, and the database gives back exactly what the collector stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import DatabaseError, EstimateError
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey


def test_every_way_to_make_a_tally_gives_the_same() -> None:
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


def test_a_histogram_is_a_window_on_the_symbols() -> None:
    tally = Tally.of({3: 2, 7: 5})
    assert tally.histogram(0, 4).tolist() == [0, 0, 0, 2]
    assert tally.histogram(4, 8).tolist() == [0, 0, 0, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1]), "symbols and counts must be as many, got 2 and 1"),
        (([-1],), "symbols and counts must not be negative"),
        (([1], [-1]), "symbols and counts must not be negative"),
    ],
)
def test_what_is_no_tally_is_refused(arguments: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        Tally.of(*arguments)


def test_the_database_gives_back_what_was_stored(database: Path, survey: Survey, tallies: dict[Cell, Tally]) -> None:
    with Database.open(database) as opened:
        assert opened.surveys() == [("shop", 1)]
        assert opened.survey("shop").digest == survey.digest
        assert opened.agree(survey)
        assert opened.tallies(survey) == tallies


def test_the_newest_version_is_taken_unless_one_is_named(
    database: Path, survey_text: str, write_database: Callable[..., Path]
) -> None:
    newer = Survey.parse(survey_text.replace("version = 1", "version = 12"))
    write_database(database, newer, {})
    with Database.open(database) as opened:
        assert opened.survey("shop").version == 12
        assert opened.survey("shop", 1).version == 1
        assert opened.tallies(newer) == {}
        assert not opened.agree(Survey.parse(survey_text.replace("version = 1", "version = 2")))


def test_what_should_be_erased_is_not_read(database: Path, survey: Survey, tallies: dict[Cell, Tally]) -> None:
    """From its day of erasure on an epoch is left out, also where no collector was there to erase it."""
    with Database.open(database) as opened:
        for epoch, left in (("2026-W45", {"2026-W46"}), ("2026-W46", set())):
            erased = survey.erased_on(epoch)
            assert {cell.epoch for cell in opened.tallies(survey, erased - timedelta(days=1))} == left | {epoch}
            assert {cell.epoch for cell in opened.tallies(survey, erased)} == left
        day = survey.erased_on("2026-W45")
        assert opened.tallies(survey, day) == {cell: one for cell, one in tallies.items() if cell.epoch == "2026-W46"}


def test_it_reads_while_a_collector_writes_and_never_writes_itself(database: Path, survey: Survey) -> None:
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("UPDATE counts SET count = count + 1")
    with Database.open(database) as opened:
        before = opened.tallies(survey)
        writer.commit()
        after = opened.tallies(survey)
        assert sum(t.n for t in after.values()) > sum(t.n for t in before.values())
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            opened._connection.execute("DELETE FROM counts")
    writer.close()


def test_reading_leaves_nothing_beside_it(database: Path, survey: Survey) -> None:
    with Database.open(database) as opened:
        opened.tallies(survey)
        assert list(database.parent.iterdir()) == [database]
    assert list(database.parent.iterdir()) == [database]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE surveys SET definition = '{}'", "the definition of shop v1 cannot be read"),
        ("UPDATE surveys SET definition = '['", "the definition of shop v1 cannot be read"),
        ("UPDATE surveys SET digest = 'f00d'", "the definition of shop v1 does not have its digest"),
        ("DELETE FROM surveys", "has no survey 'shop'; it holds no survey"),
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
def test_a_damaged_cell_is_said_to_be_one(database: Path, survey: Survey, damage: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE cells SET {damage} WHERE cell = (SELECT min(cell) FROM cells)")
    message = "the counts of shop v1 cannot be read: a cell is damaged"
    with Database.open(database) as opened:
        with pytest.raises(DatabaseError, match=message):
            opened.tallies(survey)
        if damage.startswith("epoch"):
            with pytest.raises(DatabaseError, match=message):
                opened.epochs(survey)


def test_a_file_that_may_not_be_looked_at_says_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(DatabaseError, match=r"hushtally\.db: cannot be read: Permission denied"):
        Database.open(database)


def test_a_file_that_may_not_be_opened_says_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(DatabaseError, match="cannot be opened: unable to open database file"):
        Database.open(database)
