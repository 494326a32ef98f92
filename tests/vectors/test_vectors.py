"""The second client, which was written from the pages alone, agrees with every published vector."""

from __future__ import annotations

import pytest
from conformance import Vector, vectors
from published import FOLDER
from reference_modules import load

CLIENT = load()


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: f"{vector.file}-{vector.place}")
def test_the_second_client_agrees_with_a_vector(vector: Vector) -> None:
    vector.check(CLIENT)


def test_every_published_file_is_checked() -> None:
    assert {vector.file for vector in vectors()} == {path.stem for path in FOLDER.glob("*.json")}
