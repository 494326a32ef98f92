"""The symbols of each family, the values that they support, and the documented p and q."""

from __future__ import annotations

import math
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

EPSILON_1 = Weights.of(1.0)
DESIGNS: list[Design] = [
    Direct(5, EPSILON_1),
    Subset(6, EPSILON_1, 1),
    Subset(7, EPSILON_1, 3),
    Affine(5, EPSILON_1, 5, 2),
    Affine(6, EPSILON_1, 11, 4),
    Affine(9, EPSILON_1, 9, 4),
    Affine(20, EPSILON_1, 25, 7),
    Affine(4, EPSILON_1, 2, 1, 2),
    Affine(20, EPSILON_1, 5, 2, 2),
    Affine(25, EPSILON_1, 3, 1, 3),
    Projective(6, EPSILON_1, 5, 2),
    Projective(15, EPSILON_1, 2, 4),
    Projective(10, EPSILON_1, 3, 3),
    Projective(31, EPSILON_1, 5, 3),
]


class Seeded(Randomness):
    """Reproducible words for tests."""

    def __init__(self) -> None:
        self.random = Random(1)

    def word(self) -> int:
        return self.random.getrandbits(64)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_states_the_number_of_supporting_symbols(design: Design) -> None:
    """Counts over all symbols: c of them support each value, and i support each pair of values."""
    blocks = [{v for v in range(design.domain) if design.supports(s, v)} for s in range(design.symbols)]
    singles = Counter(v for block in blocks for v in block)
    pairs = Counter(pair for block in blocks for pair in combinations(sorted(block), 2))
    assert set(singles.values()) == {design.symbols_per_value}
    assert {pairs[pair] for pair in combinations(range(design.domain), 2)} == {design.symbols_per_pair}


@pytest.mark.parametrize(
    "design",
    [
        Subset(30, EPSILON_1, 8),
        Affine(1_000, EPSILON_1, 1_031, 277),
        Affine(1_369, EPSILON_1, 1_369, 300),
        Affine(16_384, EPSILON_1, 29, 11, 3),
        Projective(16_384, EPSILON_1, 3, 10),
        Direct(65_536, EPSILON_1),
    ],
)
def test_draws_support_the_value_exactly_if_asked_to(design: Design) -> None:
    """In large domains too, `draw_supporting` returns supporting symbols and `draw_other` returns all others."""
    randomness = Seeded()
    for value in [0, 1, design.domain // 2, design.domain - 1] * 25:
        assert design.supports(design.draw_supporting(value, randomness), value)
        assert not design.supports(design.draw_other(value, randomness), value)
        assert 0 <= design.perturb(value, randomness) < design.symbols


@pytest.mark.parametrize("r", [3, 7, 9, 25, 49])
def test_a_field_has_inverses(r: int) -> None:
    """Every row of the multiplication table, except that of 0, contains each element once. 1 is the identity."""
    field = Field(r)
    for a in range(1, r):
        assert sorted(field.multiply(a, b) for b in range(r)) == list(range(r))
        assert field.multiply(a, 1) == a
        assert [field.multiply(a, field.subtract(b, 1)) for b in range(r)] == [
            field.subtract(field.multiply(a, b), a) for b in range(r)
        ]


def test_subset_ranks_are_colexicographic() -> None:
    """Ranks order sets by their largest member, then the second largest, and so on."""
    sets = sorted(combinations(range(7), 3), key=lambda members: members[::-1])
    design = Subset(7, EPSILON_1, 3)
    assert [tuple(sorted(design.members(rank))) for rank in range(design.symbols)] == sets


def test_projective_indices_enumerate_the_canonical_vectors() -> None:
    """Each canonical vector occurs once, ordered as a number in base r."""
    design = Projective(10, EPSILON_1, 3, 3)
    canonical = [v for v in product(range(3), repeat=3) if any(v) and next(filter(None, v)) == 1]
    assert [tuple(design.vector(index)) for index in range(design.symbols)] == canonical


def test_rappor_hashes_bits_as_documented() -> None:
    """Repeats the documented rule step by step, as a client in another language does."""
    from hashlib import sha256

    mechanism = Rappor(9, 32, 2, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    first, second = (
        int.from_bytes(sha256(f"rappor/5/{number}/7".encode()).digest()[:8], "big") % 32 for number in range(2)
    )
    assert mechanism.bits(5, 7) == 1 << first | 1 << second


def test_rappor_reuses_the_hash_group_of_the_device() -> None:
    """The hash group is drawn once per device. Later permanent symbols copy it from the previous one."""
    mechanism = Rappor(9, 8, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    randomness = Seeded()
    permanent = mechanism.draw(0, randomness)
    for value in range(9):
        other = mechanism.draw(value, randomness, permanent)
        assert other >> 8 == permanent >> 8
        assert mechanism.repeat(other, randomness) >> 8 == permanent >> 8


def test_rappor_supports_a_value_if_all_its_bits_are_set() -> None:
    mechanism = Rappor(9, 8, 2, 4, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
    bits = mechanism.bits(3, 5)
    assert mechanism.supports(3 << 8 | bits, 5)
    assert mechanism.supports(3 << 8 | 255, 5)
    assert not mechanism.supports(3 << 8 | bits & bits - 1, 5)


def documented_channel(design: Design, e: Fraction) -> tuple[Fraction, Fraction]:
    """p and q by the formulas in the docstrings of the families; e is exp(epsilon)."""
    d = design.domain
    if isinstance(design, Direct):
        return e / (e + d - 1), 1 / (e + d - 1)
    if isinstance(design, Subset):
        w, z = design.w, design.w * e + d - design.w
        return w * e / z, w * ((w - 1) * e + d - w) / ((d - 1) * z)
    if isinstance(design, Affine):
        r, w, t = design.r, design.w, design.t
        z = w * e + r - w
        return w * e / z, w * ((r ** (t - 1) * w - 1) * e + r**t - r ** (t - 1) * w) / ((r**t - 1) * z)
    assert isinstance(design, Projective)
    r, t = design.r, design.t
    c, i = (Fraction(r**n - 1, r - 1) for n in (t - 1, t - 2))
    z = c * e + r ** (t - 1)
    return c * e / z, (i * e + r ** (t - 2)) / z


@pytest.mark.parametrize("design", DESIGNS)
def test_p_and_q_follow_the_documented_formulas(design: Design) -> None:
    channel = design.exact_channel
    assert (channel.p, channel.q) == documented_channel(design, design.weights.ratio)


def test_p_and_q_of_unary_encodings_follow_the_documented_formulas() -> None:
    e = 1.5**2
    epsilon = math.log(e)
    sue, oue = Symmetric.of(4, epsilon).channel, Optimized.of(4, epsilon).channel
    assert (sue.p, sue.q) == pytest.approx((1.5 / 2.5, 1 / 2.5), abs=1e-9)
    assert (oue.p, oue.q) == pytest.approx((1 / 2, 1 / (e + 1)), abs=1e-9)


HALF, LOW, HIGH = Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Direct(1, EPSILON_1), "a question must have 2 to 65,536 segments, got 1"),
        (lambda: Direct(2**40, EPSILON_1), "a question must have 2 to 65,536 segments, got 1,099,511,627,776"),
        (lambda: Subset(4, EPSILON_1, 4), "w of subset must be from 1 to 3, got 4"),
        (lambda: Subset(60, EPSILON_1, 30), "60 segments at w = 30 give 118,264,581,564,861,424; use affine"),
        (
            lambda: Affine(6, EPSILON_1, 5, 2),
            "r of affine must be a prime or the square of an odd prime, from 6 (the number of segments) to "
            "94,906,265, got 5; use r = 7",
        ),
        (lambda: Affine(3, EPSILON_1, 4, 2), "from 3 (the number of segments) to 94,906,265, got 4; use r = 3"),
        (lambda: Affine(24, EPSILON_1, 27, 2), "from 24 (the number of segments) to 94,906,265, got 27; use r = 25"),
        (lambda: Affine(6, EPSILON_1, 2**61 - 1, 2), "94,906,265, got 2,305,843,009,213,693,951; use r = 7"),
        (lambda: Affine(26, EPSILON_1, 5, 2, 2), "r^t of at least 26 (the number of segments) and"),
        (lambda: Affine(6, EPSILON_1, 4, 2, 2), "affine with t must have t >= 2, a prime r"),
        (lambda: Affine(6, EPSILON_1, 7, 2, 0), "got r = 7, t = 0"),
        (lambda: Affine(6, EPSILON_1, 257, 2, 2), "r^(t + 1) of at most 16,777,216, got r = 257, t = 2"),
        (lambda: Affine(6, EPSILON_1, 3, 3, 2), "w of affine must be at least 1 and below r = 3, got 3"),
        (lambda: Affine(6, EPSILON_1, 7, 7), "w of affine must be at least 1 and below r = 7, got 7"),
        (lambda: Projective(6, EPSILON_1, 4, 3), "r of projective must be a prime of at most 67,108,864, got 4"),
        (
            lambda: Projective(6, EPSILON_1, 2, 1),
            "projective must have t >= 2 and r^t of at most 67,108,864, got r = 2, t = 1",
        ),
        (
            lambda: Projective(6, EPSILON_1, 2, 27),
            "projective must have t >= 2 and r^t of at most 67,108,864, got r = 2, t = 27",
        ),
        (
            lambda: Projective(50, EPSILON_1, 2, 3),
            "at least 50 (the number of segments), got 7 from r = 2, t = 3; increase r or t",
        ),
        (lambda: Symmetric.of(53, 1.0), "sue accepts at most 52 segments, got 53; use auto"),
        (lambda: Optimized.of(53, 1.0), "oue accepts at most 52 segments, got 53; use auto"),
        (lambda: Optimized.of(1, 1.0), "a question must have 2 to 65,536 segments, got 1"),
        (lambda: Rappor(1, 8, 1, 1, HALF, LOW, HIGH), "a question must have 2 to 65,536 segments, got 1"),
        (
            lambda: Rappor(4097, 32, 1, 200, HALF, LOW, HIGH),
            "rappor accepts at most 4,096 segments, got 4,097; use auto",
        ),
        (
            lambda: Rappor(21, 4, 1, 2, HALF, LOW, HIGH),
            "rappor with k = 4, h = 1, m = 2 can distinguish at most 7 segments, got 21; "
            "use, for example, k = 32, m = 1",
        ),
        (
            lambda: Rappor(100, 8, 1, 14, HALF, LOW, HIGH),
            "at most 99 segments, got 100; use, for example, k = 32, m = 4",
        ),
        (
            lambda: Rappor(100, 8, 2, 12, HALF, LOW, HIGH),
            "at most 96 segments, got 100; use, for example, k = 32, m = 4",
        ),
        (lambda: Rappor(4, 8, 9, 1, HALF, LOW, HIGH), "rappor must have 1 <= h <= k, got h = 9, k = 8"),
        (lambda: Rappor(4, 48, 1, 64, HALF, LOW, HIGH), "got m = 64, k = 48; use, for example, k = 32, m = 64"),
        (
            lambda: Rappor(4, 8, 1, 0, HALF, LOW, HIGH),
            "rappor must have m >= 1 and m 2^k of at most 9,007,199,254,740,991, got m = 0, k = 8",
        ),
        (lambda: Rappor(4, 8, 1, 1, Fraction(0), LOW, HIGH), "f of rappor must be above 0 and below 1, got 0"),
        (lambda: Rappor(4, 8, 1, 1, HALF, HIGH, LOW), "rappor must have 0 <= p < q <= 1, got p = 0.75, q = 0.25"),
        (
            lambda: Rappor(4, 8, 1, 1, Fraction(1, 3), LOW, HIGH),
            "f of rappor must have at most 9 decimal places, got 0.333",
        ),
    ],
)
def test_invalid_parameters_are_refused(make: object, message: str) -> None:
    """One line states the requirement, the given value and, for a size, a value that works."""
    assert callable(make)
    with pytest.raises(MechanismError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
