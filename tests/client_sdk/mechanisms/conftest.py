"""Fixtures for the tests of the mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from hushtally.client_sdk.randomness import Randomness


class Scripted(Randomness):
    """Returns the given words in order, and fails after the last one."""

    def __init__(self, words: Iterable[int]) -> None:
        self.left = list(words)

    def word(self) -> int:
        return self.left.pop(0)


@pytest.fixture
def scripted() -> Callable[[Iterable[int]], Scripted]:
    return Scripted
