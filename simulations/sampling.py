"""Reports drawn by the million: from how many devices hold each value to how many of their reports support each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from hushtally.aggregator.support import support_counts, unranked, vectors
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Affine, Design, Direct, Mechanism, Permanent, Projective, Subset, Unary
from hushtally.client_sdk.testing import SeededRandomness
from hushtally.simulations.errors import SimulationError

MOST_DENSE = 2**22  # symbols whose counts are held at once
BATCH = 2**20  # reports drawn one by one at a time, where they are few per symbol
MOST_SINGLE = 2 * 10**7  # reports drawn one by one where symbols are more
MOST_PERTURBED = 200_000  # reports drawn by the mechanism's own code, where nothing faster is exact


def draw_supporting(mechanism: Mechanism, holders: Integers, random: np.random.Generator) -> Integers:
    """How many reports support each value when holders[v] devices with the value v each send one.

    holders: int array of shape (domain,). Returns an int array of the same shape, with the exact joint distribution
    of one epoch: for designs by drawing how often each symbol comes, for unary encodings value by value (their bits
    are independent given the truth), for others with the mechanism's own `perturb`. SimulationError where that is
    too much.
    """
    basis = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    if isinstance(basis, Unary):
        p, q = float(mechanism.channel.p), float(mechanism.channel.q)
        supporting: Integers = random.binomial(holders, p) + random.binomial(holders.sum() - holders, q)
        return supporting
    return support_counts(mechanism, draw_tally(mechanism, holders, random))


def draw_tally(mechanism: Mechanism, holders: Integers, random: np.random.Generator) -> Tally:
    """How often each symbol comes when holders[v] devices with the value v each send one; exact, see above."""
    basis = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    if isinstance(basis, Design):
        return _draw_design(mechanism, basis, holders, random)
    n = int(holders.sum())
    if n > MOST_PERTURBED:
        raise SimulationError(
            f"{mechanism.name} is drawn report by report, at most {MOST_PERTURBED:,} an epoch, got {n:,}: take fewer"
            " devices"
        )
    source = SeededRandomness(int(random.integers(2**63)))
    values = np.repeat(np.arange(holders.size), holders).tolist()
    return Tally.of([mechanism.perturb(value, source) for value in values])


def draw_symbols(mechanism: Mechanism, values: Integers, random: np.random.Generator) -> Integers:
    """One report for each of the values, by itself, from a design; int array of symbols, in the same order."""
    assert isinstance(mechanism, Design)
    tilted = random.random(values.size) < _tilt(mechanism, mechanism)
    symbols = random.integers(mechanism.symbols, size=values.size)
    symbols[tilted] = _supporting(mechanism, values[tilted], random)
    return symbols


def _tilt(mechanism: Mechanism, design: Design) -> float:
    """How often a report is one of the symbols that support its value, uniformly; otherwise it is a blank."""
    baseline_rate = float(design.baseline_rate)
    return (float(mechanism.channel.p) - baseline_rate) / (1 - baseline_rate)


def _draw_design(mechanism: Mechanism, design: Design, holders: Integers, random: np.random.Generator) -> Tally:
    """A report is a blank, or else one of the symbols that support its value, uniformly: so few draws suffice."""
    tilted = random.binomial(holders, _tilt(mechanism, design))
    blanks = int(holders.sum() - tilted.sum())
    single = tilted < design.symbols_per_value
    if design.symbols > MOST_DENSE:
        if not single.all() or holders.sum() > MOST_SINGLE:
            raise SimulationError(
                f"{design.name} with {design.symbols:,} symbols is drawn report by report, at most {MOST_SINGLE:,}"
                f" an epoch, got {int(holders.sum()):,}: take fewer devices"
            )
        values = np.repeat(np.arange(holders.size), tilted)
        blank = random.integers(design.symbols, size=blanks)
        return Tally.of(np.concatenate([_supporting(design, values, random), blank]))
    counts = _spread(blanks, design.symbols, random)
    for value in np.flatnonzero(~single):
        index = np.arange(design.symbols_per_value)
        symbols = _symbols(design, np.full(index.shape, value), index)
        counts[symbols] += _spread(int(tilted[value]), index.size, random)
    for values in _batches(np.where(single, tilted, 0)):
        counts += np.bincount(_supporting(design, values, random), minlength=design.symbols)
    return Tally.of(np.arange(design.symbols), counts)


def _batches(numbers: Integers) -> Iterator[Integers]:
    """Every value as often as its number says, in arrays of about BATCH."""
    ends = np.cumsum(numbers)
    begin = 0
    while begin < numbers.size:
        before = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, before + BATCH, side="right")), begin + 1)
        yield np.repeat(np.arange(begin, end), numbers[begin:end])
        begin = end


def _spread(balls: int, boxes: int, random: np.random.Generator) -> Integers:
    """How many of the balls fall into each box, every box as likely."""
    if balls < boxes:
        return np.bincount(random.integers(boxes, size=balls), minlength=boxes)
    return random.multinomial(balls, np.full(boxes, 1 / boxes))


def _supporting(design: Design, values: Integers, random: np.random.Generator) -> Integers:
    """For each value one of the symbols that support it, uniformly."""
    return _symbols(design, values, random.integers(design.symbols_per_value, size=values.size))


def _symbols(design: Design, values: Integers, index: Integers) -> Integers:
    """The symbols with this index, 0 <= index < symbols_per_value, among those that support the values."""
    if isinstance(design, Direct):
        return values
    if isinstance(design, Affine):
        row, offset = np.divmod(index, design.w)
        return np.asarray(row * design.r + design.field.subtract(design.product(row, values), offset))
    if isinstance(design, Subset):
        return np.asarray(_sets_with(design)[values, index])
    assert isinstance(design, Projective)
    return _orthogonal(design, values, index)


@lru_cache(maxsize=4)
def _sets_with(design: Subset) -> Integers:
    """The ranks of the w-subsets that hold each value; int array of shape (domain, C(domain - 1, w - 1))."""
    if design.symbols * design.w > 2 * 10**7:
        raise SimulationError(f"subset with {design.symbols:,} symbols is too large to be drawn; mechanism auto is not")
    members = np.array(list(unranked(design, np.arange(design.symbols))))
    order = np.argsort(members.ravel(), kind="stable") % design.symbols
    return order.reshape(design.domain, -1)


def _orthogonal(design: Projective, values: Integers, index: Integers) -> Integers:
    """The points orthogonal to the values: canonical vectors without the value's pivot, which is then solved for."""
    r, t = design.r, design.t
    value, pivot = vectors(values, r, t)
    free, _ = vectors(index, r, t - 1)
    places = np.arange(t - 1)[:, None]
    places = places + (places >= pivot)
    product = (np.take_along_axis(value, places, axis=0) * free).sum(axis=0)
    vector = np.zeros_like(value)
    np.put_along_axis(vector, places, free, axis=0)
    np.put_along_axis(vector, pivot[None, :], -product % r, axis=0)
    return _indexes(vector, r, t)


def _indexes(vectors: Integers, r: int, t: int) -> Integers:
    """The indexes of the points that the columns stand for, canonical or not."""
    pivot = (vectors != 0).argmax(axis=0)
    inverses = np.array([0, *(pow(one, -1, r) for one in range(1, r))])
    scale = inverses[np.take_along_axis(vectors, pivot[None, :], axis=0)[0]]
    number = np.zeros_like(pivot)
    for row in vectors:
        number = number * r + row * scale % r
    after = t - 1 - pivot
    indexes: Integers = number - r**after + (r**after - 1) // (r - 1)
    return indexes
