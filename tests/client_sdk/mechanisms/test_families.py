"""Symbols and the values they support, family by family."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, product
from random import Random

import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import (
    Affine,
    Design,
    Direct,
    Optimized,
    Projective,
    Rappor,
    Subset,
    Symmetric,
    Weights,
)
from hushtally.client_sdk.mechanisms.galois import Field
from hushtally.client_sdk.randomness import Randomness

ONE = Weights.of(1.0)
DESIGNS: list[Design] = [
    Direct(5, ONE),
    Subset(6, ONE, 1),
    Subset(7, ONE, 3),
    Affine(5, ONE, 5, 2),
    Affine(6, ONE, 11, 4),
    Affine(9, ONE, 9, 4),
    Affine(20, ONE, 25, 7),
    Affine(4, ONE, 2, 1, 2),
    Affine(20, ONE, 5, 2, 2),
    Affine(25, ONE, 3, 1, 3),
    Projective(6, ONE, 5, 2),
    Projective(15, ONE, 2, 4),
    Projective(10, ONE, 3, 3),
    Projective(31, ONE, 5, 3),
]


class Seeded(Randomness):
    """Reproducible words for tests."""

    def __init__(self) -> None:
        self.random = Random(1)

    def word(self) -> int:
        return self.random.getrandbits(64)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_counts_its_symbols(design: Design) -> None:
    """Every value has c symbols and every pair i, by counting over all symbols."""
    supported = [{v for v in range(design.domain) if design.supports(s, v)} for s in range(design.symbols)]
    singles = Counter(v for one in supported for v in one)
    pairs = Counter(pair for one in supported for pair in combinations(sorted(one), 2))
    assert set(singles.values()) == {design.symbols_per_value}
    assert {pairs[pair] for pair in combinations(range(design.domain), 2)} == {design.symbols_per_pair}


@pytest.mark.parametrize(
    "design",
    [
        Subset(30, ONE, 8),
        Affine(1_000, ONE, 1_031, 277),
        Affine(1_369, ONE, 1_369, 300),
        Affine(16_384, ONE, 29, 11, 3),
        Projective(16_384, ONE, 3, 10),
        Direct(65_536, ONE),
    ],
)
def test_draws_support_or_do_not(design: Design) -> None:
    """In large domains too, what is drawn as supporting supports the value, and nothing else does."""
    randomness = Seeded()
    for value in [0, 1, design.domain // 2, design.domain - 1] * 25:
        assert design.supports(design.draw_supporting(value, randomness), value)
        assert not design.supports(design.draw_other(value, randomness), value)
        assert 0 <= design.perturb(value, randomness) < design.symbols


@pytest.mark.parametrize("r", [3, 7, 9, 25, 49])
def test_a_field_has_inverses(r: int) -> None:
    """Every row of the multiplication table, 0 left out, holds each element once, and 1 changes nothing."""
    field = Field(r)
    for a in range(1, r):
        assert sorted(field.times(a, b) for b in range(r)) == list(range(r))
        assert field.times(a, 1) == a
        assert [field.times(a, field.minus(b, 1)) for b in range(r)] == [
            field.minus(field.times(a, b), a) for b in range(r)
        ]


def test_subset_ranks_are_colexicographic() -> None:
    """Sets in the order of their largest, then second largest member and so on."""
    sets = sorted(combinations(range(7), 3), key=lambda one: one[::-1])
    design = Subset(7, ONE, 3)
    assert [tuple(sorted(design.members(rank))) for rank in range(design.symbols)] == sets


def test_projective_index_is_the_vector() -> None:
    """Canonical vectors in the order of their digits, as a number in base r: each once."""
    design = Projective(10, ONE, 3, 3)
    canonical = [v for v in product(range(3), repeat=3) if any(v) and next(filter(None, v)) == 1]
    assert [tuple(design.vector(index)) for index in range(design.symbols)] == canonical


def test_rappor_bits_are_hashed() -> None:
    """The documented rule, spelled out: any language can repeat it."""
    from hashlib import sha256

    mechanism = Rappor(9, 32, 2, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    first, second = (
        int.from_bytes(sha256(f"rappor/5/{number}/7".encode()).digest()[:8], "big") % 32 for number in range(2)
    )
    assert mechanism.bits(5, 7) == 1 << first | 1 << second


def test_rappor_keeps_its_group() -> None:
    """The hash group is drawn once per device: the next permanent symbol takes it from the previous one."""
    mechanism = Rappor(9, 8, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    randomness = Seeded()
    permanent = mechanism.draw(0, randomness)
    for value in range(9):
        other = mechanism.draw(value, randomness, permanent)
        assert other >> 8 == permanent >> 8
        assert mechanism.repeat(other, randomness) >> 8 == permanent >> 8


def test_rappor_supports_all_its_bits() -> None:
    mechanism = Rappor(9, 8, 2, 4, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    bits = mechanism.bits(3, 5)
    assert mechanism.supports(3 << 8 | bits, 5)
    assert mechanism.supports(3 << 8 | 255, 5)
    assert not mechanism.supports(3 << 8 | bits & bits - 1, 5)


HALF, LOW, HIGH = Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Direct(1, ONE), "a question needs 2 to 65,536 values, got 1"),
        (lambda: Direct(2**40, ONE), "a question needs 2 to 65,536 values, got 1,099,511,627,776"),
        (lambda: Subset(4, ONE, 4), "subset needs 1 <= w < 4, the number of values, got w = 4"),
        (lambda: Subset(60, ONE, 30), "subset of 60 values has 118,264,581,564,861,424 symbols at w = 30, more than"),
        (
            lambda: Affine(6, ONE, 5, 2),
            "affine needs r, a prime or the square of an odd one, from 6 to 94,906,265, got 5; r = 7 fits",
        ),
        (lambda: Affine(3, ONE, 4, 2), "from 3 to 94,906,265, got 4; r = 3 fits"),
        (lambda: Affine(24, ONE, 27, 2), "from 24 to 94,906,265, got 27; r = 25 fits"),
        (lambda: Affine(6, ONE, 2**61 - 1, 2), "from 6 to 94,906,265, got 2,305,843,009,213,693,951; r = 7 fits"),
        (lambda: Affine(26, ONE, 5, 2, 2), "r^t of at least 26, the number of values"),
        (lambda: Affine(6, ONE, 4, 2, 2), "affine with t needs t >= 2, a prime r"),
        (lambda: Affine(6, ONE, 7, 2, 0), "got r = 7, t = 0"),
        (lambda: Affine(6, ONE, 257, 2, 2), "r^(t + 1) of at most 16,777,216, got r = 257, t = 2"),
        (lambda: Affine(6, ONE, 3, 3, 2), "affine needs 1 <= w < r = 3, got w = 3"),
        (lambda: Affine(6, ONE, 7, 7), "affine needs 1 <= w < r = 7, got w = 7"),
        (lambda: Projective(6, ONE, 4, 3), "projective needs a prime r, got 4"),
        (lambda: Projective(6, ONE, 2, 1), "projective needs t >= 2 and r^t of at most 67,108,864, got r = 2, t = 1"),
        (lambda: Projective(6, ONE, 2, 27), "projective needs t >= 2 and r^t of at most 67,108,864, got r = 2, t = 27"),
        (lambda: Projective(50, ONE, 2, 3), "at least 50, the number of values; r = 2, t = 3 give 7"),
        (lambda: Symmetric.of(53, 1.0), "sue has one bit per value and needs 2 to 52 values, got 53; auto fits"),
        (lambda: Optimized.of(1, 1.0), "oue has one bit per value and needs 2 to 52 values, got 1; auto fits"),
        (lambda: Rappor(1, 8, 1, 1, HALF, LOW, HIGH), "a question needs 2 to 65,536 values, got 1"),
        (lambda: Rappor(4097, 32, 1, 200, HALF, LOW, HIGH), "decoded for at most 4,096 values, got 4,097; auto fits"),
        (
            lambda: Rappor(21, 4, 1, 2, HALF, LOW, HIGH),
            "rappor with k = 4, h = 1, m = 2 can tell at most 7 values apart, got 21; k = 32, m = 1 fits",
        ),
        (lambda: Rappor(100, 8, 1, 14, HALF, LOW, HIGH), "at most 99 values apart, got 100; k = 32, m = 4 fits"),
        (lambda: Rappor(100, 8, 2, 12, HALF, LOW, HIGH), "at most 96 values apart, got 100; k = 32, m = 4 fits"),
        (lambda: Rappor(4, 8, 9, 1, HALF, LOW, HIGH), "rappor needs 1 <= h <= k, got h = 9, k = 8"),
        (lambda: Rappor(4, 48, 1, 64, HALF, LOW, HIGH), "got m = 64, k = 48; k = 32, m = 64 fits"),
        (lambda: Rappor(4, 8, 1, 0, HALF, LOW, HIGH), "rappor needs m >= 1"),
        (lambda: Rappor(4, 8, 1, 1, Fraction(0), LOW, HIGH), "rappor needs 0 < f < 1, got f = 0"),
        (lambda: Rappor(4, 8, 1, 1, HALF, HIGH, LOW), "rappor needs 0 <= p < q <= 1, got p = 0.75, q = 0.25"),
        (lambda: Rappor(4, 8, 1, 1, Fraction(1, 3), LOW, HIGH), "f of rappor must have at most 9 decimals, got 0.333"),
    ],
)
def test_what_does_not_exist_is_refused(make: object, message: str) -> None:
    """One line says what was required, what came and, where a size is the matter, what would fit."""
    assert callable(make)
    with pytest.raises(MechanismError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
