"""A cell is the same for the collector and the aggregator, however its cohort was written."""

from __future__ import annotations

import pytest

from hushtally.client_sdk.protocol.cell import Cell

CELL = Cell("shop", 1, "frequency", '{"plan":"free","platform":"web"}', "2026-W45")


def test_the_order_of_the_cohorts_makes_no_difference() -> None:
    for cohort in ({"platform": "web", "plan": "free"}, {"plan": "free", "platform": "web"}):
        cell = Cell.of("shop", 1, "frequency", cohort, "2026-W45")
        assert cell == CELL
        assert cell.key == CELL.key
        assert cell.cohort_values == cohort


def test_the_key_of_a_cell_never_changes() -> None:
    """Databases store the key, so a change would split the counts of a cell."""
    assert CELL.key == 3597220876601988596
    assert Cell.of("shop", 1, "frequency", {}, "2026-W45").key == 506325634239480672


@pytest.mark.parametrize("cohort", [["plan"], "plan", 7, None])
def test_a_cohort_that_is_not_a_mapping_is_an_error(cohort: object) -> None:
    with pytest.raises(TypeError, match="mapping"):
        Cell.of("shop", 1, "frequency", cohort, "2026-W45")  # type: ignore[arg-type]
