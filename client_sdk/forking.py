"""Forks of the process: locks, connections and memory that a child must not share with its parent."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ClassVar
from weakref import ref


class Forking:
    """An object that survives forks of the process, for example in a preloading web server.

    A fork by Python calls all methods. A fork by C code, for example of uWSGI, calls only `after_fork`, with the first
    call of a client in the child; the parent's other threads may have been anywhere.
    """

    # without a lock, because a finalizer may create such an object while another is created
    _living: ClassVar[dict[int, ref[Forking]]] = {}

    def __init__(self) -> None:
        me = id(self)
        # `pop` gets the dead reference as its default. It is code in C, so no signal handler can interrupt it.
        Forking._living[me] = ref(self, partial(Forking._living.pop, me))

    @staticmethod
    def living() -> list[Forking]:
        """Return all objects."""
        return [one for found in list(Forking._living.values()) if (one := found()) is not None]

    def before_fork(self) -> None:
        """In the parent, while its other threads still run. Does nothing by default."""

    def hold(self) -> None:
        """In the parent, right before the fork: take the locks, so that no other thread is using the object."""

    def release(self) -> None:
        """In the parent, after the fork: release the locks. Raise RuntimeError if `hold` did not take them."""

    def after_fork(self) -> None:
        """In the child: replace locks, and drop what belongs to the parent."""


_end_actions: dict[Callable[[], None], int] = {}


def at_end_of_worker(action: Callable[[], None]) -> None:
    """Call `action` when this process ends, if it is a worker of multiprocessing; such a worker skips atexit."""
    if _end_actions.get(action) != os.getpid():
        _end_actions[action] = os.getpid()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, action, exitpriority=1)


def ends_without_notice() -> bool:
    """Return whether this process may end without calling exit handlers.

    A worker of billiard, as Celery's are, ends by os._exit. uWSGI skips the exit handlers of a worker that is busy.
    """
    if "uwsgi" in sys.modules:  # only uWSGI itself has this module
        return True
    billiard = sys.modules.get("billiard.process")
    return billiard is not None and billiard.current_process().name != "MainProcess"


# RLocks, because a signal handler may fork in the middle of a fork
_one_fork_at_a_time = threading.RLock()
_held: list[list[Forking]] = []  # by the forks that are under way, each in the middle of the one before


def before_fork(*, write: bool) -> None:
    """Prepare a fork in the parent. write: whether to write what is in memory first."""
    _one_fork_at_a_time.acquire()
    if write:
        for one in Forking.living():
            with suppress(Exception):  # the fork must succeed; what could not be written stays with the parent
                one.before_fork()
    held: list[Forking] = []
    _held.append(held)
    for one in Forking.living():
        held.append(one)
        with suppress(Exception):
            one.hold()


def after_fork_in_parent() -> None:
    """Continue in the parent, also if the fork failed."""
    for one in reversed(_held.pop()):
        with suppress(RuntimeError):
            one.release()
    with suppress(RuntimeError):
        _one_fork_at_a_time.release()


def after_fork_in_child() -> None:
    """Repair every object in the child."""
    if _held:  # code in C may call the hooks for the child only
        _held.pop()
    _repair()


_repaired_in = os.getpid()
_repairing: dict[int, threading.RLock] = {}


def notice_fork() -> None:
    """Repair every object if this process was forked by code that did not call Python's hooks."""
    process = os.getpid()
    if process != _repaired_in:
        # a lock for each process, because a lock of the parent may be held by a thread that exists only there
        with _repairing.setdefault(process, threading.RLock()):
            if process != _repaired_in:
                _repair()


def _repair() -> None:
    global _one_fork_at_a_time, _repaired_in
    _one_fork_at_a_time = threading.RLock()
    for one in Forking.living():
        with suppress(Exception):
            one.after_fork()
    _repaired_in = os.getpid()
