"""Calls of clients: one at a time on each thread, also if a signal handler or a finalizer makes another in the middle.

A signal handler, a finalizer or a log handler can interrupt a call at any point and call a client itself. A call that
is made in the middle of another on the same thread is re-entrant. It must not wait for a lock that the outer call
holds, and must not touch the state file, where the outer call may have begun a transaction. So it returns at once, and
what it leaves to do is done when the outer call ends.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from hushtally.client_sdk import forking

MAX_DEFERRED = 1_000  # actions of re-entrant calls that wait for the end of the outer call

T = TypeVar("T")


class Held(Protocol):
    """Something that a call holds, for example a lock."""

    def abandon(self) -> None:
        """Release it after an exception of a signal handler kept the call from doing so."""


class _Thread:
    """The calls on one thread of this process.

    Signal handlers and finalizers run between any two steps of this module. So every step leaves this object in order.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.running = False
        self.reporting = False
        self.finishing = False
        self.deferred: deque[Callable[[], object]] = deque()
        self.held: list[Held] = []
        self.forks_in_calls: list[bool] = []  # for each fork that is under way, whether a call makes it


_local = threading.local()


def _this_thread() -> _Thread:
    thread: _Thread | None = getattr(_local, "thread", None)
    if thread is None or thread.process != os.getpid():
        # a child of a fork begins anew: what waits in its parent is done there
        thread = _local.thread = _Thread()
    return thread


def run(call: Callable[[], T], reentrant: Callable[[], T]) -> T:
    """Return what `call` returns; in the middle of another call on this thread, what `reentrant` returns.

    `reentrant` must not wait, and must not use the state file.
    """
    thread = _this_thread()
    if thread.running:
        return reentrant()
    try:
        thread.running = True
        forking.notice_fork()
        if thread.held:
            _release(thread)
        return call()
    finally:
        try:
            if thread.held:
                _release(thread)
        finally:
            thread.running = False
            if thread.deferred:
                _finish(thread)


def for_other_thread(call: Callable[[], object]) -> Callable[[], None]:
    """Return a function that runs `call` on another thread for the call on this thread."""
    reporting = _this_thread().reporting

    def run_there() -> None:
        _this_thread().reporting = reporting
        run(call, lambda: None)

    return run_there


def is_running() -> bool:
    """Whether this thread is in the middle of a call."""
    return _this_thread().running


def defer(action: Callable[[], object]) -> bool:
    """Run `action` when the call that is running on this thread has ended; return False if too many actions wait."""
    deferred = _this_thread().deferred
    if len(deferred) >= MAX_DEFERRED:
        return False
    deferred.append(action)
    return True


def report(action: Callable[..., object], *arguments: object) -> None:
    """Log something, or pass it to the app, when no call runs on this thread: a log handler may call the client.

    A report about a call that another report makes is dropped. Otherwise a log handler that records every error would
    record the failure to record, without end.
    """
    thread = _this_thread()
    if thread.reporting:
        return
    if thread.running:
        defer(partial(_report, action, *arguments))
    else:
        _report(action, *arguments)


def _report(action: Callable[..., object], *arguments: object) -> None:
    thread = _this_thread()
    try:
        thread.reporting = True
        with suppress(Exception):  # of a log handler of the app
            action(*arguments)
    finally:
        thread.reporting = False


def hold(held: Held) -> None:
    """Abandon `held` at the end of the call unless it is released before."""
    _this_thread().held.append(held)


def released(held: Held) -> None:
    """Forget what was released."""
    _forget(_this_thread(), held)


def _release(thread: _Thread) -> None:
    while thread.held:
        held = thread.held[-1]
        held.abandon()
        _forget(thread, held)  # `abandon` has done the same, except in a child of a fork


def _forget(thread: _Thread, held: Held) -> None:
    if held in thread.held:
        thread.held.remove(held)


def _finish(thread: _Thread) -> None:
    """Run the actions that wait. Each is a call of its own, which may defer others; they run here, too.

    If signals arrive faster than their actions end, the rest waits for the end of the next call.
    """
    if thread.finishing:
        return
    try:
        thread.finishing = True
        for _ in range(MAX_DEFERRED):
            if not thread.deferred or thread.process != os.getpid():  # an action may fork; the rest is for the parent
                break
            action = thread.deferred.popleft()
            action()
    finally:
        thread.finishing = False


def _before_fork() -> None:
    """A fork is like a call: signal handlers and finalizers may run while the locks are held for it."""
    thread = _this_thread()
    thread.forks_in_calls.append(thread.running)
    thread.running = True
    forking.before_fork(write=not thread.forks_in_calls[-1])


def _after_fork_in_parent() -> None:
    forking.after_fork_in_parent()
    thread = _this_thread()
    thread.running = thread.forks_in_calls.pop()
    if not thread.running:
        _finish(thread)


def _after_fork_in_child() -> None:
    thread = _this_thread()
    try:
        thread.running = True
        forking.after_fork_in_child()
    finally:
        thread.running = False
        _finish(thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
