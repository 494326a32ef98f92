"""The collector's database, opened for reading only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import sqlite_utils

from hushtally.aggregator.errors import DatabaseError, EstimateError
from hushtally.aggregator.tally import MAX_REPORTS, Tally
from hushtally.client_sdk.clock import utc_day, utc_today
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.store_file import COUNTS, collector_problem
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import describe_change

_COUNTS_OF_SURVEY = f"""
    {COUNTS.select}
    WHERE cell IN (SELECT cell FROM cells WHERE survey = ? AND version = ?)
    ORDER BY cell, symbol
"""
_DAMAGED_COUNTS = f"""
    SELECT EXISTS (
        SELECT 1 FROM {COUNTS.name}
        WHERE cell IN (SELECT cell FROM cells WHERE survey = ? AND version = ?)
        AND NOT (typeof(symbol) = 'integer' AND typeof(count) = 'integer' AND symbol >= 0
                 AND count BETWEEN 1 AND {MAX_REPORTS})
    )
"""
_COUNTS_ROW = np.dtype([(column, np.int64) for column in COUNTS.columns])


class Database:
    """An open database, which a collector may use at the same time. Create it with `open`. Close it, or use `with`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        with self._reading():
            self._sql = sqlite_utils.Database(connection, execute_plugins=False)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a database for reading.

        Raises DatabaseError if the file cannot be read, is not a collector's database, or was written by a newer
        version.
        """
        path = Path(path)
        try:
            if path.is_dir():
                raise DatabaseError(f"{path} is a folder, not a database")
            if not path.is_file():
                raise DatabaseError(f"{path}: this database does not exist")
        except OSError as error:
            raise DatabaseError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise DatabaseError(f"{path}: cannot be opened: {error}") from None
        try:
            database = cls(connection, path)
            database._require_collector()
        except BaseException:
            connection.close()
            raise
        return database

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_collector(self) -> None:
        application = self._rows("PRAGMA application_id")[0][0]
        version = self._rows("PRAGMA user_version")[0][0]
        problem = collector_problem(application if version else 0, version)
        if problem:
            raise DatabaseError(f"{self.path} {problem}")

    def surveys(self) -> list[tuple[str, int]]:
        """Return the id and the version of every survey in the database, sorted."""
        sql = "SELECT id, version FROM surveys ORDER BY 1, 2"
        return [(str(id), int(version)) for id, version in self._rows(sql)]

    def survey(self, id: str, version: int | None = None) -> Survey:
        """Return the survey as the collector stored it. If `version` is None, return the newest version.

        Raises DatabaseError if the database does not contain the survey, or if its definition does not match its
        digest.
        """
        versions = [stored for name, stored in self.surveys() if name == id]
        if not versions:
            known = did_you_mean(id, {name for name, _ in self.surveys()}) or "; the database contains no survey"
            raise DatabaseError(f"{self.path}: has no survey {id!r}{known}")
        if version is not None and version not in versions:
            raise DatabaseError(
                f"{self.path}: has no version {version} of {id!r}; known: {', '.join(map(str, versions))}"
            )
        number = versions[-1] if version is None else version
        [(digest, definition)] = self._rows(
            "SELECT digest, definition FROM surveys WHERE id = ? AND version = ?", id, number
        )
        try:
            survey = Survey.from_resolved(json.loads(definition))
        except (ValueError, TypeError, SurveyError):
            raise DatabaseError(f"{self.path}: the definition of {id} v{number} cannot be read") from None
        if survey.digest != digest:
            raise DatabaseError(f"{self.path}: the definition of {id} v{number} does not match its digest")
        return survey

    def epochs(self, survey: Survey) -> list[str]:
        """Return the epochs with reports of the survey whose retention has not ended, in ascending order."""
        sql = "SELECT DISTINCT epoch FROM cells WHERE survey = ? AND version = ? ORDER BY 1"
        with self._undamaged(survey):
            epochs = [str(epoch) for (epoch,) in self._rows(sql, survey.id, survey.version)]
            return [epoch for epoch in epochs if utc_today() < survey.erased_on(epoch)]

    def contains(self, survey: Survey) -> bool:
        """Return whether the database contains this survey.

        Raises DatabaseError, with the differences, if the database contains a different survey of the same id and
        version.
        """
        if (survey.id, survey.version) not in self.surveys():
            return False
        stored = self.survey(survey.id, survey.version)
        if stored.digest != survey.digest:
            name = f"{survey.id}@{survey.version}"
            raise DatabaseError(
                f"{describe_change(stored, survey)}, or read what was collected: hushtally estimate {name}"
            )
        return True

    def tallies(self, survey: Survey, today: date | None = None) -> dict[Cell, Tally]:
        """Read the tally of every cell of the survey in one transaction.

        Cells whose retention has ended are left out: they remain in the file if no collector has run since to erase
        them. today: the day of the reading in UTC, or a datetime with any time zone; None is the current day.
        """
        now = utc_today() if today is None else utc_day(today)
        with self._reading():
            self._connection.execute("BEGIN")
            try:
                (damaged,) = self._sql.execute(_DAMAGED_COUNTS, [survey.id, survey.version]).fetchone()
                if damaged:
                    raise DatabaseError(f"{self.path}: the counts of {survey.name} cannot be read: a count is damaged")
                rows = np.fromiter(self._sql.execute(_COUNTS_OF_SURVEY, [survey.id, survey.version]), dtype=_COUNTS_ROW)
                cells = dict(self._cells(survey))
            finally:
                self._connection.rollback()
        keys, begins = np.unique(rows["cell"], return_index=True)
        parts = np.split(rows, begins[1:])
        with self._undamaged(survey):
            return {
                cells[key]: Tally.of(part["symbol"], part["count"])
                for key, part in zip(keys.tolist(), parts, strict=False)
                if now < survey.erased_on(cells[key].epoch)
            }

    def _cells(self, survey: Survey) -> Iterator[tuple[int, Cell]]:
        sql = "SELECT cell, question, cohort, epoch FROM cells WHERE survey = ? AND version = ?"
        with self._undamaged(survey):
            for key, question, cohort, epoch in self._rows(sql, survey.id, survey.version):
                values = json.loads(cohort)
                if survey.cohort_problem(values) or question not in {asked.id for asked in survey.asked}:
                    raise ValueError("the survey has no such cell")
                yield key, Cell.of(survey.id, survey.version, question, values, epoch)

    @contextmanager
    def _undamaged(self, survey: Survey) -> Iterator[None]:
        try:
            yield
        except (
            AttributeError,
            EstimateError,
            LookupError,
            TypeError,
            ValueError,
        ):  # a damaged file may contain any value
            raise DatabaseError(f"{self.path}: the counts of {survey.name} cannot be read: a cell is damaged") from None

    def _rows(self, sql: str, *arguments: object) -> list[Any]:
        with self._reading():
            return self._sql.execute(sql, arguments).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise DatabaseError(f"{self.path} is not a hushtally database") from None
            raise DatabaseError(f"{self.path}: cannot be read: {error}") from None
