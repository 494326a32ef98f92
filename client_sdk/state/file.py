"""The device's one SQLite file: who may write it, when it is durable, and what is erased for good."""

from __future__ import annotations

import atexit
import hashlib
import math
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet, WeakValueDictionary

from hushtally.client_sdk.errors import SafeMessage, StateError, StateLostError
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.state import checksum, erasure, schema
from hushtally.client_sdk.state.rollback import RollbackGuard
from hushtally.client_sdk.state.silence import Silence

BUSY_SECONDS = 10.0
BRIEF_SECONDS = 0.25
PAUSE_SECONDS = 1.0
MARK_SECONDS = 1.0
MEMORY = ":memory:"


class StateBusyError(SafeMessage, sqlite3.OperationalError):
    """The state file could not be had in the moment that an app may be kept waiting."""


class State(Forking):
    """An open state file, shared by all clients of this process that name the same path.

    One connection under one lock; a forked child opens its own. Raises StateError when the file cannot be opened or
    is not ours, StateLostError once the path names another file or none; other failures come as sqlite3.Error.
    """

    _open: ClassVar[WeakValueDictionary[str, State]] = WeakValueDictionary()
    _opening: ClassVar[threading.Lock] = threading.Lock()
    _counted: ClassVar[set[tuple[int, int] | None]] = set()  # files whose devices were all counted in this process

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closing: weakref.finalize[[], State] | None = None
        self._file: tuple[int, int] | None = None  # which one was opened first, by device and inode
        self._salt = b""  # and by what it holds: a new file may get the inode of one that was deleted
        self._depth = 0  # how often its lock is held
        self._identity = None if path == MEMORY else RollbackGuard(path)
        self._users: WeakSet[object] = WeakSet()
        self._held = False
        self._marked = -math.inf
        self._resumes = -math.inf
        super().__init__()
        try:
            with self.transaction() as connection:
                if not schema.found(connection, path):
                    schema.make(connection)
                if self._identity:
                    self._identity.verify(connection)
                self._salt = connection.execute("SELECT salt FROM file").fetchone()[0]
                # a transaction alone does not find out that the file is read-only
                connection.execute("UPDATE file SET salt = ?", (self._salt,))
            self.erase()
        except StateError:
            self.close()
            raise
        except Exception as error:  # a damaged file can hold anything
            self.close()
            folder = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DIRECTORY
            why = "its folder may not be written" if folder else describe_failure(error)
            raise StateError(f"the state file {path} cannot be used: {why}") from None

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> State:
        """The state at `path` ("~" is the home directory), made if it is not there; ":memory:" is a new one."""
        named = cls.place(path)
        if named == MEMORY:
            return cls(MEMORY)
        with cls._opening:
            state = cls._open.get(named)
            if state is None or state.lost:
                real = str(Path(named).resolve())
                state = cls._open.get(real)
                if state is not None and state.lost:
                    state.close()  # or its log and its locks could get mixed up with those of the new file
                    state = None
                if state is None:
                    _touch(Path(real))
                    state = cls._open[real] = cls(real)
                cls._open[named] = state
            return state

    @staticmethod
    def place(path: str | os.PathLike[str]) -> str:
        """The whole path, which another working folder does not change; ":memory:" as it is."""
        if str(path) == MEMORY:
            return MEMORY
        return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  (pathlib takes three times as long)

    @staticmethod
    def is_at(place: str) -> bool:
        """Whether there is a file, which `at` would not have to make."""
        return place != MEMORY and os.path.exists(place)  # noqa: PTH110  (as above)

    @property
    def lost(self) -> bool:
        """Whether the path is seen to name another file than was opened, or none; OSError where it cannot be told."""
        if self._file is None:
            return False
        try:
            found = os.stat(self.path)  # noqa: PTH116  (as above)
        except (FileNotFoundError, NotADirectoryError):
            return True
        return (found.st_dev, found.st_ino) != self._file

    def require_file(self) -> None:
        """Raises StateLostError where the path names the file no longer."""
        if self.lost:
            raise self._lost()

    def _lost(self) -> StateLostError:
        return StateLostError(
            f"the state file {self.path} was deleted or replaced while it was open; what it held is lost to this"
            " device. If its mark is left, a new file is silent for the surveys that run"
        )

    def lock(self) -> AbstractContextManager[sqlite3.Connection]:
        """The connection, for this thread alone; every statement commits by itself, and waits for the disk."""
        return _Locked(self)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The connection, to read what the file holds at one moment, whatever other processes write meanwhile."""
        with self.lock() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is on the disk when the block ends, or not there at all."""
        with self.lock() as connection, _atomic(connection):
            yield connection

    @contextmanager
    def light(self) -> Iterator[sqlite3.Connection]:
        """A transaction that a failure of the power may undo: for what does no harm then, and need not wait for it."""
        with self.lock() as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            try:
                with _atomic(connection):
                    yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """Has what is done in the block wait for others for a fraction of a second only: an app's thread waits for it.

        Where it failed, nothing is tried for a second: StateBusyError at once.
        """
        self._refuse_while_pausing()
        if not self._lock.acquire(timeout=BRIEF_SECONDS):
            self._pause()
            raise StateBusyError("another thread of the app holds the state file")
        try:
            self._refuse_while_pausing()  # another thread may have had no luck in the meantime
            with self.lock() as connection:
                _wait_at_most(connection, BRIEF_SECONDS)
                try:
                    yield
                finally:
                    with suppress(sqlite3.Error):
                        _wait_at_most(connection, BUSY_SECONDS)
        except Exception:
            self._pause()
            raise
        finally:
            self._lock.release()

    def _pause(self) -> None:
        if not self.pausing:
            self._resumes = time.monotonic() + PAUSE_SECONDS

    def _refuse_while_pausing(self) -> None:
        if self.pausing:
            raise StateBusyError("the state file could not be written a moment ago")

    @property
    def pausing(self) -> bool:
        """Whether `briefly` would fail at once."""
        return time.monotonic() < self._resumes

    @contextmanager
    def answering(self) -> Iterator[sqlite3.Connection]:
        """A transaction that gives answers, from no other file than the one last written here."""
        with self.transaction() as connection:
            if self._identity:
                self._identity.verify(connection)
            yield connection
            if self._identity:
                self._identity.draw(connection)
        self.mark_soon()

    def outdate_copies(self, connection: sqlite3.Connection) -> None:
        """Has copies of the file that were made before be known as such, once it is marked. Within a transaction."""
        if self._identity:
            self._identity.verify(connection)
            self._identity.draw(connection)

    def mark(self) -> None:
        """To be called before anything is sent: from now on an older copy of the file is known as one."""
        if self._identity:
            with self.lock() as connection:
                settled = self._identity.settled(connection)
                aged = not settled and self._identity.aged(connection)
            if aged:
                with self.transaction() as connection:
                    self._identity.renew(connection)
            if not settled:
                with self.light() as connection:
                    self._identity.mark(connection)
                self._marked = time.monotonic()

    def mark_soon(self) -> None:
        """To be called after an answer and now and then: marks, but once a second at most, however many devices answer.

        What is not marked yet was not sent.
        """
        if self.mark_is_due:
            self.mark()

    @property
    def mark_is_due(self) -> bool:
        """Whether `mark_soon` would do anything."""
        return time.monotonic() - self._marked > MARK_SECONDS

    def device(self, key: str) -> int:
        """The number of the device with this local key; the key itself is kept as a salted hash only."""
        hashed = hashlib.sha256(self._salt + key.encode(errors="surrogatepass")).digest()
        query = "SELECT device FROM devices WHERE key = ?"
        with self.lock() as connection:
            found = connection.execute(query, (hashed,)).fetchone()
            if found is None:
                with self.light():
                    self._join(connection, hashed)
                found = connection.execute(query, (hashed,)).fetchone()
            number: int = found[0]
            return number

    def _join(self, connection: sqlite3.Connection, key: bytes) -> None:
        (total,) = connection.execute("SELECT census FROM file").fetchone()
        if self._file not in State._counted and total != checksum.census(connection):
            raise StateError(Silence.DAMAGED)
        State._counted.add(self._file)  # once will do: it takes half a second for 100,000 devices
        joined = connection.execute(
            "INSERT OR IGNORE INTO devices(key, seal) VALUES (?, ?)", (key, checksum.blank(connection))
        )
        if joined.rowcount:
            total = checksum.joined(total, self._salt, joined.lastrowid or 0, key)
            connection.execute("UPDATE file SET census = ?", (total,))
            connection.execute("UPDATE file SET seal = ?", (checksum.file(connection),))

    def erase(self) -> bool:
        """Empties the file's log where something was deleted for good, so that it cannot be read on the disk.

        While another process is in the midst of reading it cannot, and returns False: to be called again now and then.
        """
        with self.lock() as connection:
            return erasure.empty(connection)

    def rebuild(self) -> None:
        """See `erasure.rebuild`."""
        with self.lock() as connection:
            erasure.rebuild(connection)

    def _adopt(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Takes a new connection, to be closed with this state at the latest, in whatever cycle that is found."""
        if self._salt and (
            not schema.found(connection, self.path)
            or connection.execute("SELECT salt FROM file").fetchone() != (self._salt,)
        ):
            connection.close()
            raise self._lost()
        if self._closing is not None:
            self._closing.detach()
        self._connection = connection
        if self._file is None and self.path != MEMORY:
            opened = os.stat(self.path)  # noqa: PTH116  (as above)
            self._file = opened.st_dev, opened.st_ino
        self._closing = weakref.finalize(self, connection.close)
        self._closing.atexit = False  # at exit there are events to be written first
        return connection

    def join(self, user: object) -> None:
        """Keeps the file open until every one that joined has left, or is gone."""
        self._users.add(user)

    @property
    def users(self) -> tuple[object, ...]:
        """Those that joined and have not left."""
        return tuple(self._users)

    def leave(self, user: object) -> None:
        """Closes the file after its last user; never waits: the connection goes with the thread that still has it."""
        self._users.discard(user)
        if not self._users and self._lock.acquire(blocking=False):  # a fork, which waits for it, must not come amid it
            try:
                self.close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Closes the connection; the next use opens it again (what was in memory is gone)."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def hold(self) -> None:
        self._held = self._lock.acquire(timeout=2 * BUSY_SECONDS)
        # a child that inherits a connection believes to hold its locks on the file, which a fork does not pass on:
        # the next process to close the file would take the child's writes away
        if self._held and self._connection is not None and not self._connection.in_transaction and self.path != MEMORY:
            self._connection.close()
            self._connection = None

    def release(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._held = False
        if self.path != MEMORY:
            # only of a connection that was in use at the fork: it cannot be closed without harm to the parent's
            _inherited.append(self._connection)
            self._connection = None
            if self._closing is not None:
                self._closing.detach()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            schema.found(connection, self.path)  # another's is refused before anything is changed in it
            _keep_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(
                "PRAGMA temp_store = MEMORY"
            )  # or pages with events could spill into the system's folder
        except BaseException:
            connection.close()
            raise
        return connection


class _Locked:
    """What `State.lock` gives; a generator would take a third of the time of a statement."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def __enter__(self) -> sqlite3.Connection:
        state = self._state
        state._lock.acquire()
        try:
            if not state._depth:
                state.require_file()
            connection = state._connection or state._adopt(state._connect())
            state._depth += 1
            return connection
        except BaseException:
            state._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._state._depth -= 1
        self._state._lock.release()


def _touch(place: Path) -> None:
    """Has the file be there, for its owner alone; StateError where it cannot be."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if place.is_dir():
            raise StateError(f"the state file {place} cannot be used: it is a folder")
        place.touch(mode=0o600)
    except FileExistsError:
        raise StateError(f"the state file {place} cannot be used: its folder is a file") from None
    except OSError as error:
        raise StateError(f"the state file {place} cannot be used: {error.strerror}") from None


@contextmanager
def _atomic(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


class _Opening(Forking):
    """A child must not wait for a thread of its parent that was opening a file."""

    def after_fork(self) -> None:
        State._opening = threading.Lock()


_opening = _Opening()
_inherited: list[sqlite3.Connection | None] = []


@atexit.register
def _at_exit() -> None:
    for state in list(State._open.values()):
        if state._lock.acquire(timeout=0.5):  # a thread that is stuck in it keeps its connection
            try:
                state.close()
            finally:
                state._lock.release()


def _keep_log(connection: sqlite3.Connection) -> None:
    """Has the file keep a log; while another process makes the new file into one that does, SQLite does not wait."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
