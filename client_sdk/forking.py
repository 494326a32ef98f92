"""Forks of the process: locks, connections and memory that a child must not share with its parent."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar
from weakref import WeakSet


class Forking:
    """An object that survives forks of the process, for example in a preloading web server."""

    _living: ClassVar[WeakSet[Forking]] = WeakSet()
    _registering: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        with Forking._registering:
            Forking._living.add(self)

    def before_fork(self) -> None:
        """In the parent, while its other threads still run. Does nothing by default."""

    def hold(self) -> None:
        """In the parent, right before the fork: take the locks, so that no other thread is using the object."""

    def release(self) -> None:
        """In the parent, after the fork: release the locks."""

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


_one_fork_at_a_time = threading.Lock()
_held: list[Forking] = []


def _before() -> None:
    _one_fork_at_a_time.acquire()
    with Forking._registering:
        living = list(Forking._living)
    for one in living:
        with suppress(Exception):  # the fork must succeed; what could not be written stays with the parent
            one.before_fork()
    Forking._registering.acquire()
    for one in list(Forking._living):
        _held.append(one)
        with suppress(Exception):
            one.hold()


def _after_in_parent() -> None:
    while _held:
        _held.pop().release()
    Forking._registering.release()
    _one_fork_at_a_time.release()


def _after_in_child() -> None:
    global _one_fork_at_a_time
    _one_fork_at_a_time = threading.Lock()
    Forking._registering = threading.Lock()
    _held.clear()
    for one in list(Forking._living):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
