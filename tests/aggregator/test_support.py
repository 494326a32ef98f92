"""Every decoder equals the sum of its mechanism's own `supports`."""

from __future__ import annotations

import numpy as np
import pytest

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import (
    Affine,
    Direct,
    Mechanism,
    Permanent,
    Projective,
    Subset,
    Weights,
    build,
    choose,
)
from hushtally.client_sdk.mechanisms.unary import Optimized, Symmetric

W = Weights.of(1.0)
MECHANISMS: list[Mechanism] = [
    Direct(2, W),
    Direct(300, W),
    Subset(2, W, 1),
    Subset(16, W, 4),
    Subset(69, W, 68),
    Subset(300, W, 5),
    Affine(2, W, 2, 1),
    Affine(7, W, 7, 3),
    Affine(60, W, 61, 60),
    Affine(60, W, 67, 18),
    Affine(9, W, 9, 2),
    Affine(9, W, 9, 6),
    Affine(3, W, 1_009, 300),
    Affine(2, W, 94_906_249, 25_000_000),
    Affine(4, W, 9_739**2, 25_000_000),
    Affine(115, W, 121, 5),
    Affine(115, W, 121, 37),
    Affine(4, W, 2, 1, 2),
    Affine(100, W, 5, 4, 3),
    Affine(120, W, 11, 3, 2),
    Projective(3, W, 2, 2),
    Projective(7, W, 2, 3),
    Projective(100, W, 2, 9),
    Projective(13, W, 3, 3),
    Projective(90, W, 3, 5),
    Projective(57, W, 7, 3),
    Projective(140, W, 139, 2),
    Symmetric.of(9, 1.0),
    Optimized.of(52, 1.0),
    Permanent.of(Subset(16, W, 4), 2.0),
    *(choose(domain, epsilon) for domain in (12, 70, 150) for epsilon in (0.25, 1.0, 4.0)),
    choose(1500, 0.35),
]


def summed_one_by_one(mechanism: Mechanism, tally: Tally) -> list[int]:
    pairs = list(zip(tally.symbols.tolist(), tally.counts.tolist(), strict=True))
    return [sum(n for symbol, n in pairs if mechanism.supports(symbol, value)) for value in range(mechanism.domain)]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)
def test_support_counts_equal_the_sum_over_reports(mechanism: Mechanism) -> None:
    rng = np.random.default_rng(mechanism.domain)
    ends = np.array([0, mechanism.symbols - 1])
    symbols = np.concatenate([ends, rng.integers(0, mechanism.symbols, 200)])
    tally = Tally.of(symbols, rng.integers(1, 10**6, symbols.size))
    assert support_counts(mechanism, tally).tolist() == summed_one_by_one(mechanism, tally)
    assert support_counts(mechanism, Tally.of({})).tolist() == [0] * mechanism.domain


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)
def test_support_counts_of_two_tallies_add_up(mechanism: Mechanism) -> None:
    rng = np.random.default_rng(5)
    one, two = (Tally.of(rng.integers(0, mechanism.symbols, 1000)) for _ in range(2))
    both = support_counts(mechanism, one + two)
    assert both.tolist() == (support_counts(mechanism, one) + support_counts(mechanism, two)).tolist()


def test_affine_in_several_blocks_equals_affine_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    mechanism = Affine(60, W, 61, 17)
    tally = Tally.of(np.random.default_rng(3).integers(0, mechanism.symbols, 2000))
    whole = support_counts(mechanism, tally)
    monkeypatch.setattr("hushtally.aggregator.support.BLOCK", 200)
    assert support_counts(mechanism, tally).tolist() == whole.tolist()


def test_the_memory_depends_on_the_reported_symbols_alone() -> None:
    """No array has 2^40 symbols, or an affine field of 65,537 or 94,906,249 elements for every symbol."""
    import tracemalloc

    for mechanism in (Symmetric.of(40, 1.0), Affine(65_536, W, 65_537, 20_000), Affine(4, W, 94_906_249, 20_000)):
        tally = Tally.of(np.random.default_rng(3).integers(0, mechanism.symbols, 50))
        tracemalloc.start()
        support_counts(mechanism, tally)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100e6


def test_a_symbol_out_of_range_is_an_error() -> None:
    with pytest.raises(EstimateError, match="symbol 9 is out of range: direct has 4 symbols here"):
        support_counts(Direct(4, W), Tally.of([9]))


def test_rappor_has_no_support_counts() -> None:
    sizes = {"k": 8, "h": 1, "m": 4, "f": 0.5, "p": 0.25, "q": 0.75}
    with pytest.raises(EstimateError, match="rappor has no support counts"):
        support_counts(build("rappor", sizes, 4, 1.1, 2.2), Tally.of([9]))
