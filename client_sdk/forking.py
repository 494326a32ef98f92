"""What must be put right around a fork: locks, connections and memory that belong to the parent."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar
from weakref import WeakSet


class Forking:
    """Something that lives through forks of the process, as preloading servers make them."""

    _living: ClassVar[WeakSet[Forking]] = WeakSet()
    _registering: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        with Forking._registering:
            Forking._living.add(self)

    def before_fork(self) -> None:
        """In the parent, while its other threads still run: nothing by default."""

    def hold(self) -> None:
        """In the parent, right before: waits until no other thread is in the midst of it, and keeps them out."""

    def release(self) -> None:
        """In the parent, after: lets the others go on."""

    def after_fork(self) -> None:
        """In the child, after: leaves alone what is the parent's."""


_ends: dict[Callable[[], None], int] = {}


def at_end_of_worker(action: Callable[[], None]) -> None:
    """Has `action` called when this process ends, if it is a worker of multiprocessing: those end without atexit."""
    if _ends.get(action) != os.getpid():
        _ends[action] = os.getpid()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, action, exitpriority=1)


_one_at_a_time = threading.Lock()
_held: list[Forking] = []


def _before() -> None:
    _one_at_a_time.acquire()
    with Forking._registering:
        living = list(Forking._living)
    for one in living:
        with suppress(Exception):  # a fork must not fail for it: what could not be written stays with the parent
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
    _one_at_a_time.release()


def _after_in_child() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    Forking._registering = threading.Lock()
    _held.clear()
    for one in list(Forking._living):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
