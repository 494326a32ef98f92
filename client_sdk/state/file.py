"""The device's state file: who may write it, which writes are durable, and what is erased for good."""

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
from functools import partial
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet, WeakValueDictionary

from hushtally.client_sdk import calls
from hushtally.client_sdk.errors import SafeMessage, StateError, StateForkedError, StateLostError
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.state import checksum, erasure, schema
from hushtally.client_sdk.state.connection import (
    Connection,
    atomic,
    connect,
    create_file,
    set_busy_timeout,
    without_sync,
)
from hushtally.client_sdk.state.rollback import RollbackGuard
from hushtally.client_sdk.state.silence import Silence

BUSY_SECONDS = 10.0  # how long a background call waits for other processes
LOCK_SECONDS = 20.0  # how long a background call waits for other threads, which may wait for other processes
EXIT_SECONDS = 0.5  # how long the end of the process waits for other threads
BRIEF_SECONDS = 0.25  # how long a call on an app's thread waits
PAUSE_SECONDS = 1.0  # after a call on an app's thread waited in vain, such calls fail at once for this long
MARK_SECONDS = 1.0  # the time between two marks, however many devices answer
MEMORY = ":memory:"


class StateBusyError(SafeMessage, sqlite3.OperationalError):
    """The state file was in use for longer than a call on an app's thread may wait."""


class State(Forking):
    """An open state file, shared by all clients of this process that name the same path.

    All threads share one connection under one lock; a forked child opens its own connection.

    Raises StateError if the file cannot be opened or is a database of another program. Raises StateLostError when the
    file at the path was deleted or replaced. Other failures are raised as sqlite3.Error.
    """

    _open: ClassVar[WeakValueDictionary[str, State]] = WeakValueDictionary()
    _opening: ClassVar[threading.Lock] = threading.Lock()
    _verified: ClassVar[set[tuple[int, int] | None]] = set()  # files whose list of devices this process has checked

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._use: _Use | None = None  # the use by the thread that has the lock
        self._forked_in_use = False  # whether this process can never use the file
        self._parents_connection: Connection | None = None
        self._connection: Connection | None = None
        self._finalizer: weakref.finalize[[], State] | None = None
        self._file: tuple[int, int] | None = None  # device and inode of the file that was opened first
        self._salt = b""  # identifies the contents of the file: a new file may get the inode of a deleted file
        self._rollback_guard = None if path == MEMORY else RollbackGuard(path)
        self._users: WeakSet[object] = WeakSet()
        self._marked_at = -math.inf
        self._paused_until = -math.inf
        super().__init__()
        try:
            self._prepare()
        except StateError:
            self.close()
            raise
        except Exception as error:  # a damaged file may contain anything
            self.close()
            read_only = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DIRECTORY
            why = "its folder is read-only" if read_only else describe_failure(error)
            raise StateError(f"the state file {path} cannot be used: {why}") from None

    def _prepare(self) -> None:
        """Create the tables in an empty file; check that the file can be written and is not an older copy."""
        with self.transaction() as connection:
            if schema.exists(connection, self.path):
                schema.upgrade(connection)
            else:
                schema.create(connection)
            if self._rollback_guard:
                self._rollback_guard.verify(connection)
            self._salt = connection.execute("SELECT salt FROM file").fetchone()[0]
            # an empty transaction succeeds on a read-only file
            connection.execute("UPDATE file SET salt = ?", (self._salt,))
        self.erase()

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> State:
        """Return the state at `path`, and create the file if there is none.

        "~" is the home directory. Every ":memory:" is a new state.
        """
        absolute = cls.absolute_path(path)
        if absolute == MEMORY:
            return cls(MEMORY)
        with cls._opening:
            state = cls._open.get(absolute)
            if state is None or state.is_lost:
                real = str(Path(absolute).resolve())
                state = cls._open.get(real)
                if state is not None and state.is_lost:
                    state.close()  # otherwise SQLite could confuse its log and locks with those of the new file
                    state = None
                if state is None:
                    create_file(Path(real))
                    state = cls._open[real] = cls(real)
                cls._open[absolute] = state
            return state

    @staticmethod
    def absolute_path(path: str | os.PathLike[str]) -> str:
        """Return the absolute path, which does not depend on the working directory. ":memory:" stays unchanged."""
        if str(path) == MEMORY:
            return MEMORY
        return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  (pathlib takes three times as long)

    @staticmethod
    def exists_at(absolute_path: str) -> bool:
        """Return whether there is a file that `at` would open."""
        return absolute_path != MEMORY and os.path.exists(absolute_path)  # noqa: PTH110  (as above)

    @property
    def is_lost(self) -> bool:
        """Whether the path no longer names the file that was opened. Raises OSError if the path cannot be checked."""
        if self._file is None:
            return False
        try:
            found = os.stat(self.path)  # noqa: PTH116  (as above)
        except (FileNotFoundError, NotADirectoryError):
            return True
        return (found.st_dev, found.st_ino) != self._file

    def require_file(self) -> None:
        """Raise StateLostError if the path no longer names the file that was opened."""
        if self.is_lost:
            raise self._lost_error()

    def _lost_error(self) -> StateLostError:
        return StateLostError(
            f"the state file {self.path} was deleted or replaced while it was open; this device has lost its contents."
            " If the mark file is still there, the surveys that run now stay silent in a new state file"
        )

    def lock(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give this thread alone the connection. Every statement commits by itself and waits for the disk."""
        return _Use(self, LOCK_SECONDS)

    @contextmanager
    def snapshot(self, *, brief: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection to read the file as it is at one moment, whatever other processes write meanwhile.

        brief: wait for other threads at most a fraction of a second, then raise StateBusyError.
        """
        with _Use(self, BRIEF_SECONDS) if brief else self.lock() as connection:
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                with suppress(sqlite3.Error):  # no transaction began, or the connection was closed after a signal
                    connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction, which is durable when the block ends."""
        with self.lock() as connection, atomic(connection):
            yield connection

    @contextmanager
    def fast_transaction(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction that a power failure may undo; for writes that do no harm if they are lost."""
        with self.lock() as connection, without_sync(connection), atomic(connection):
            yield connection

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """In this block, wait at most a fraction of a second for other threads and processes; for an app's thread.

        After a failure, further blocks raise StateBusyError at once for the next second.
        """
        self._raise_if_paused()
        try:
            with self.within(BRIEF_SECONDS):
                self._raise_if_paused()  # another thread may have failed in the meantime
                yield
        except Exception:
            self._pause()
            raise

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """In this block, wait at most `seconds` for other threads, and at most as long for other processes."""
        with _Use(self, seconds) as connection:
            try:
                set_busy_timeout(connection, seconds)
                yield
            finally:
                with suppress(sqlite3.Error):  # the connection was closed after a signal
                    set_busy_timeout(connection, BUSY_SECONDS)

    def _pause(self) -> None:
        if not self.is_paused:
            self._paused_until = time.monotonic() + PAUSE_SECONDS

    def _raise_if_paused(self) -> None:
        if self.is_paused:
            raise StateBusyError("the state file could not be written a moment ago")

    @property
    def is_paused(self) -> bool:
        """Whether `briefly` would raise at once."""
        return time.monotonic() < self._paused_until

    @contextmanager
    def answering(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction for answers. Check for a rollback before it; make older copies invalid after it."""
        with self.transaction() as connection:
            if self._rollback_guard:
                self._rollback_guard.verify(connection)
            yield connection
            if self._rollback_guard:
                self._rollback_guard.require_mark(connection)
        self.mark_soon()

    def invalidate_copies(self, connection: sqlite3.Connection) -> None:
        """Ensure that existing copies of the file are detected as old. Call this in a transaction, before `mark`."""
        if self._rollback_guard:
            self._rollback_guard.verify(connection)
            self._rollback_guard.require_mark(connection)

    def mark(self) -> None:
        """Replace the mark file, so that older copies of the state file are detected. Call this before you send."""
        if self._rollback_guard:
            with self.lock() as connection:
                marked = self._rollback_guard.is_marked(connection)
            if not marked:
                with self.transaction() as connection:
                    self._rollback_guard.prepare(connection)
                with self.fast_transaction() as connection:
                    self._rollback_guard.publish(connection)
                self._marked_at = time.monotonic()

    def mark_soon(self) -> None:
        """Replace the mark file, at most once a second. Call this after answers, and regularly.

        The delay is safe: an answer is never sent before the mark file is replaced.
        """
        if self.mark_is_due:
            self.mark()

    @property
    def mark_is_due(self) -> bool:
        """Whether `mark_soon` would do anything."""
        return time.monotonic() - self._marked_at > MARK_SECONDS

    def device_number(self, key: str) -> int:
        """Return the number of the device with this local key. Only a salted hash of the key is stored."""
        with self.lock() as connection:
            found = self.find_device(connection, key)
            if found is None:
                with self.fast_transaction():
                    found = self.add_device(connection, key)
            return found

    def find_device(self, connection: sqlite3.Connection, key: str) -> int | None:
        """Return the number of the device with this local key; None if the file does not know it."""
        row = connection.execute("SELECT device FROM devices WHERE key = ?", (self._hashed(key),)).fetchone()
        return None if row is None else row[0]

    def add_device(self, connection: sqlite3.Connection, key: str) -> int:
        """Return the number of the device with this local key, a new number if needed; within a transaction."""
        total = self.verify_device_list(connection)
        hashed = self._hashed(key)
        added = connection.execute(
            "INSERT OR IGNORE INTO devices(key, checksum) VALUES (?, ?)", (hashed, checksum.OF_NEW_DEVICE)
        )
        if not added.rowcount:
            return self.find_device(connection, key) or 0
        number = added.lastrowid or 0
        checksum.update_device_list(connection, checksum.with_device(total, self._salt, number, hashed))
        return number

    def verify_device_list(self, connection: sqlite3.Connection) -> bytes:
        """Return the checksum of the device list. Raises StateError if it is damaged: an unknown device may be lost."""
        total: bytes
        (total,) = connection.execute("SELECT devices_checksum FROM file").fetchone()
        if self._file not in State._verified and total != checksum.of_device_list(connection):
            raise StateError(Silence.DAMAGED)
        State._verified.add(self._file)  # once is enough: it takes half a second for 100,000 devices
        return total

    def _hashed(self, key: str) -> bytes:
        return hashlib.sha256(self._salt + key.encode(errors="surrogatepass")).digest()

    def erase(self) -> bool:
        """Empty the write-ahead log if rows were deleted for good; return whether no deleted row is left in the log.

        The log cannot be emptied while another process is reading the file. In this case, call again later.
        """
        with self.lock() as connection:
            return erasure.empty_log(connection)

    def vacuum(self) -> None:
        """See `erasure.vacuum`."""
        with self.lock() as connection:
            erasure.vacuum(connection)

    def add_user(self, user: object) -> None:
        """Keep the file open until every user was removed or is garbage-collected."""
        self._users.add(user)

    @property
    def users(self) -> tuple[object, ...]:
        """The users that were added and not removed."""
        return tuple(self._users)

    def remove_user(self, user: object) -> None:
        """Remove a user; close the file after the last one.

        The call never waits. If another thread is using the file, the connection is closed when that thread ends.
        """
        self._users.discard(user)
        if not self._users:
            self.close(wait=0.0)

    def close(self, wait: float = LOCK_SECONDS) -> None:
        """Close the connection. The next use opens it again. The contents of a state in memory are lost.

        wait: how many seconds to wait for another thread that is using the file; after that the file stays open.
        """
        use = _Use(self, wait)
        try:
            use.begin()  # while this thread closes the file, a fork waits
            self._disconnect()
        except StateBusyError:
            pass
        finally:
            use.end()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        return connect(self.path, BUSY_SECONDS)

    def _install(self, connection: Connection) -> Connection:
        """Use a new connection until this object is deleted; StateLostError if the connection is to another file."""
        if self._salt and (
            not schema.exists(connection, self.path)
            or connection.execute("SELECT salt FROM file").fetchone() != (self._salt,)
        ):
            connection.close()
            raise self._lost_error()
        if self._finalizer is not None:
            self._finalizer.detach()
        self._connection = connection
        if self._file is None and self.path != MEMORY:
            opened = os.stat(self.path)  # noqa: PTH116  (as above)
            self._file = opened.st_dev, opened.st_ino
        self._finalizer = weakref.finalize(self, connection.close)
        self._finalizer.atexit = False  # at exit, events must be written first
        return connection

    def hold(self) -> None:
        # A child process does not inherit file locks, but SQLite in the child would assume that it holds them. The next
        # process that closes the file would then discard everything that the child wrote.
        if self._lock.acquire(timeout=LOCK_SECONDS) and self._use is None and self.path != MEMORY:
            self._disconnect()

    def release(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        use, self._use = self._use, None
        connection, self._connection = self._connection, None
        if self._finalizer is not None:
            self._finalizer.detach()
        if use is not None:
            # A thread of the parent was in the middle of SQLite or of a transaction. Closing the connection would harm
            # the parent, and another connection of this process would share its locks with this one.
            self._forked_in_use, self._parents_connection = True, connection
            _keep_forever(self)
        elif connection is None:
            return
        elif self.path == MEMORY:
            connection.adopt()
            self._connection = connection
        else:
            connection.close()  # so that this process forgets the locks of the parent, which keeps them

    def require_usable(self) -> None:
        """Raise StateForkedError if this process can never use the file."""
        if self._forked_in_use:
            raise StateForkedError(
                f"the state file {self.path} was in use when this process was forked; this process cannot use it"
            )


class _Use:
    """The context manager of `State.lock`. A generator would add a third to the time of a statement.

    A thread that has the lock may use the state again inside. A signal handler may raise an exception anywhere, even at
    the beginning of `__exit__`: then the call that is running ends the use.
    """

    __slots__ = ("_begun", "_lock", "_seconds", "_state", "_thread")

    def __init__(self, state: State, seconds: float) -> None:
        self._state = state
        self._seconds = seconds
        self._lock = state._lock
        self._thread = 0
        self._begun = False

    def __enter__(self) -> Connection:
        state = self._state
        try:
            if self.begin():
                state.require_usable()
                state.require_file()
            return state._connection or state._install(state._connect())
        except BaseException:
            self.end()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, sqlite3.Error | StateError):
            self.end()
        else:
            self.abandon()

    def begin(self) -> bool:
        """Take the lock; return False if this thread has it already. Raise StateBusyError after too long a wait."""
        thread, current = threading.get_ident(), self._state._use
        if current is not None and current._thread == thread:
            return False
        self._begun = True
        calls.hold(self)
        if not self._lock.acquire(timeout=self._seconds):
            raise StateBusyError("another thread of the app is using the state file")
        self._thread = thread
        self._state._use = self
        return True

    def end(self) -> None:
        """Release the lock if this object took it."""
        if not self._begun:
            return
        state = self._state
        if state._use is self:
            if state._connection is not None and state._connection.in_transaction:
                self._reset()
            state._use = None
        with suppress(RuntimeError):  # the lock was not taken
            self._lock.release()
        self._begun = False
        calls.released(self)

    def abandon(self) -> None:
        """Release the lock in the middle of anything: a transaction may be open, and a setting may be changed."""
        if self._begun and self._state._use is self:
            self._reset()
        self.end()

    def _reset(self) -> None:
        state = self._state
        if state.path != MEMORY:
            state._disconnect()
        elif state._connection is not None:
            state._connection.rollback()


def _keep_forever(state: State) -> None:
    """Keep Python from deleting the state and its connection, even at exit."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(state))


class _Opening(Forking):
    """Replaces the lock in a child: the thread that was opening a file exists only in the parent."""

    def after_fork(self) -> None:
        State._opening = threading.Lock()


_opening = _Opening()


@atexit.register
def _at_exit() -> None:
    for state in list(State._open.values()):
        # if a thread hangs while it uses the file, its connection stays open
        calls.run(partial(state.close, EXIT_SECONDS), lambda: None)
