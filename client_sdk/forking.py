"""What must be put right around a fork: locks, connections and memory that belong to the parent."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import ClassVar
from weakref import WeakSet


class Forking:
    """Something that lives through forks of the process, as preloading servers make them."""

    _living: ClassVar[WeakSet[Forking]] = WeakSet()

    def __init__(self) -> None:
        Forking._living.add(self)

    def before_fork(self) -> None:
        """In the parent, before: nothing by default."""

    def after_fork(self) -> None:
        """In the child, after: leaves alone what is the parent's."""


def _before() -> None:
    for one in list(Forking._living):
        with suppress(Exception):  # a fork must not fail for it: what could not be written stays with the parent
            one.before_fork()


def _after() -> None:
    for one in list(Forking._living):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after)
