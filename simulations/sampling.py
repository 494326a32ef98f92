"""Random draws of the reports of many devices, with the exact distribution of the mechanism."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from hushtally.aggregator.support import support_counts, unranked, vectors
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Affine, Design, Direct, Mechanism, Permanent, Projective, Subset, Unary
from hushtally.client_sdk.testing import SeededRandomness
from hushtally.simulations.errors import SimulationError

MAX_DENSE_SYMBOLS = 2**22  # with at most this many symbols, one array contains the count of every symbol
BATCH_SIZE = 2**20  # reports in one array if reports are drawn one by one
MAX_SINGLE_REPORTS = 2 * 10**7  # reports drawn one by one, for designs with more symbols than MAX_DENSE_SYMBOLS
MAX_PERTURBED_REPORTS = 200_000  # reports drawn with `perturb`, for mechanisms without a faster exact method
MAX_SUBSET_ENTRIES = 2 * 10**7  # members of all subsets of a subset design together


def draw_support_counts(mechanism: Mechanism, true_counts: Integers, random: np.random.Generator) -> Integers:
    """Draw the number of reports that support each value, if true_counts[v] devices with value v send one report each.

    true_counts: int array of shape (domain,). Returns an int array of the same shape with the exact joint distribution
    of one epoch. Designs draw the count of every symbol. Unary encodings draw value by value, because their bits are
    independent given the true values. Other mechanisms call their own `perturb`. Raises SimulationError if the draw
    would take too much time or memory.
    """
    single = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    if isinstance(single, Unary):
        p, q = float(mechanism.channel.p), float(mechanism.channel.q)
        counts: Integers = random.binomial(true_counts, p) + random.binomial(true_counts.sum() - true_counts, q)
        return counts
    return support_counts(mechanism, draw_tally(mechanism, true_counts, random))


def draw_tally(mechanism: Mechanism, true_counts: Integers, random: np.random.Generator) -> Tally:
    """Draw the count of every symbol, if true_counts[v] devices with value v send one report each.

    The distribution is exact. Raises SimulationError if the draw would take too much time or memory.
    """
    single = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
    if isinstance(single, Design):
        return _draw_design_tally(mechanism, single, true_counts, random)
    n = int(true_counts.sum())
    if n > MAX_PERTURBED_REPORTS:
        raise SimulationError(
            f"{mechanism.name} reports are drawn one by one, at most {MAX_PERTURBED_REPORTS:,} an epoch (got {n:,});"
            " simulate fewer devices"
        )
    source = SeededRandomness(int(random.integers(2**63)))
    values = np.repeat(np.arange(true_counts.size), true_counts).tolist()
    return Tally.of([mechanism.perturb(value, source) for value in values])


def draw_symbols(mechanism: Mechanism, values: Integers, random: np.random.Generator) -> Integers:
    """Draw one report of a design for each value. Returns an int array of symbols in the same order."""
    assert isinstance(mechanism, Design)
    informative = random.random(values.size) < _informative_rate(mechanism, mechanism)
    symbols = random.integers(mechanism.symbols, size=values.size)
    symbols[informative] = _draw_supporting_symbols(mechanism, values[informative], random)
    return symbols


def _informative_rate(mechanism: Mechanism, design: Design) -> float:
    """Return the probability that a report is drawn from the symbols that support its value, not from all symbols."""
    baseline_rate = float(design.baseline_rate)
    return (float(mechanism.channel.p) - baseline_rate) / (1 - baseline_rate)


def _draw_design_tally(
    mechanism: Mechanism, design: Design, true_counts: Integers, random: np.random.Generator
) -> Tally:
    """Draw blank reports uniformly from all symbols and the others uniformly from the supporting symbols.

    Values with fewer reports than supporting symbols are drawn report by report. Other values are drawn as multinomial
    counts.
    """
    informative = random.binomial(true_counts, _informative_rate(mechanism, design))
    blanks = int(true_counts.sum() - informative.sum())
    sparse = informative < design.symbols_per_value
    if design.symbols > MAX_DENSE_SYMBOLS:
        if not sparse.all() or true_counts.sum() > MAX_SINGLE_REPORTS:
            raise SimulationError(
                f"{design.name} reports with {design.symbols:,} symbols are drawn one by one, at most"
                f" {MAX_SINGLE_REPORTS:,} an epoch (got {int(true_counts.sum()):,}); simulate fewer devices"
            )
        values = np.repeat(np.arange(true_counts.size), informative)
        blank_symbols = random.integers(design.symbols, size=blanks)
        return Tally.of(np.concatenate([_draw_supporting_symbols(design, values, random), blank_symbols]))
    counts = _draw_uniform_counts(blanks, design.symbols, random)
    for value in np.flatnonzero(~sparse):
        index = np.arange(design.symbols_per_value)
        symbols = _supporting_symbols(design, np.full(index.shape, value), index)
        counts[symbols] += _draw_uniform_counts(int(informative[value]), index.size, random)
    for values in _batches(np.where(sparse, informative, 0)):
        counts += np.bincount(_draw_supporting_symbols(design, values, random), minlength=design.symbols)
    return Tally.of(np.arange(design.symbols), counts)


def _batches(counts: Integers) -> Iterator[Integers]:
    """Yield every value v repeated counts[v] times, in arrays of about BATCH_SIZE."""
    ends = np.cumsum(counts)
    begin = 0
    while begin < counts.size:
        before = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, before + BATCH_SIZE, side="right")), begin + 1)
        yield np.repeat(np.arange(begin, end), counts[begin:end])
        begin = end


def _draw_uniform_counts(n: int, bins: int, random: np.random.Generator) -> Integers:
    """Draw how many of n uniform draws fall into each bin."""
    if n < bins:
        return np.bincount(random.integers(bins, size=n), minlength=bins)
    return random.multinomial(n, np.full(bins, 1 / bins))


def _draw_supporting_symbols(design: Design, values: Integers, random: np.random.Generator) -> Integers:
    """Draw uniformly, for each value, one of the symbols that support it."""
    return _supporting_symbols(design, values, random.integers(design.symbols_per_value, size=values.size))


def _supporting_symbols(design: Design, values: Integers, index: Integers) -> Integers:
    """Return the symbol at `index` among the symbols that support each value; 0 <= index < symbols_per_value."""
    if isinstance(design, Direct):
        return values
    if isinstance(design, Affine):
        row, offset = np.divmod(index, design.w)
        return np.asarray(row * design.r + design.field.subtract(design.product(row, values), offset))
    if isinstance(design, Subset):
        return np.asarray(_subsets_containing(design)[values, index])
    assert isinstance(design, Projective)
    return _orthogonal_points(design, values, index)


@lru_cache(maxsize=4)
def _subsets_containing(design: Subset) -> Integers:
    """Return the ranks of the w-subsets that contain each value: int array of shape (domain, C(domain - 1, w - 1))."""
    if design.symbols * design.w > MAX_SUBSET_ENTRIES:
        raise SimulationError(
            f'subset with {design.symbols:,} symbols is too large to simulate; set mechanism = "auto" instead'
        )
    members = np.array(list(unranked(design, np.arange(design.symbols))))
    order = np.argsort(members.ravel(), kind="stable") % design.symbols
    return order.reshape(design.domain, -1)


def _orthogonal_points(design: Projective, values: Integers, index: Integers) -> Integers:
    """Return points orthogonal to the values. The index gives all coordinates except the pivot, which follows."""
    r, t = design.r, design.t
    value, pivot = vectors(values, r, t)
    free, _ = vectors(index, r, t - 1)
    coordinates = np.arange(t - 1)[:, None]
    coordinates = coordinates + (coordinates >= pivot)
    product = (np.take_along_axis(value, coordinates, axis=0) * free).sum(axis=0)
    vector = np.zeros_like(value)
    np.put_along_axis(vector, coordinates, free, axis=0)
    np.put_along_axis(vector, pivot[None, :], -product % r, axis=0)
    return _point_indexes(vector, r, t)


def _point_indexes(vectors: Integers, r: int, t: int) -> Integers:
    """Return the indexes of the projective points that the columns represent. Any multiple of a column is allowed."""
    pivot = (vectors != 0).argmax(axis=0)
    inverses = np.array([0, *(pow(number, -1, r) for number in range(1, r))])
    scale = inverses[np.take_along_axis(vectors, pivot[None, :], axis=0)[0]]
    number = np.zeros_like(pivot)
    for row in vectors:
        number = number * r + row * scale % r
    after = t - 1 - pivot
    indexes: Integers = number - r**after + (r**after - 1) // (r - 1)
    return indexes
