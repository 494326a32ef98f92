"""RAPPOR with its authors' parameters, decoded by our regression and by a port of the original decoder.

Parameters: k = 32, h = 1, m = 64, f = .5, p = .25, q = .75; 100 candidates with Zipf shares, none of them zero. Both
decoders get the same reports. Ours is aggregator/regression.py.

The original (google/rappor, analysis/R/decode.R, ported here) fits shares under three conditions: each is >= 0, their
sum is at most 1, and no bit is set more often than 3 standard errors above its observed rate. It fits five times, four
times with noise added to the rates. The estimate is the mean of the five fits, the standard error is their standard
deviation. A value is detected if its estimate exceeds two standard errors. The interval extends 1.96 standard errors to
both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import nnls

from hushtally.aggregator.intervals import normal_interval
from hushtally.aggregator.regression import Regression, regress
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Rappor

MECHANISM = Rappor(100, 32, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
TRUTH = 1 / np.arange(1, 101)
TRUTH /= TRUTH.sum()
FITS = 5
# reports: (surveys that we decode, surveys that the slower original also decodes)
SURVEYS = {100_000: (400, 80), 1_000_000: (120, 40)}
QUICK = {20_000: (3, 1)}

Array = Any


def measure(quick: bool, seed: int, done: Callable[[], None]) -> list[dict[str, Any]]:
    """One record for every number of reports; `done` is called after every survey."""
    return [_measure(n, ours, original, seed, done) for n, (ours, original) in (QUICK if quick else SURVEYS).items()]


def surveys(quick: bool) -> int:
    return sum(ours for ours, _ in (QUICK if quick else SURVEYS).values())


def _measure(n: int, surveys: int, by_original: int, seed: int, done: Callable[[], None]) -> dict[str, Any]:
    rng = np.random.default_rng([seed, n])
    kinds: dict[str, list[tuple[Array, Array]]] = {}  # per survey: selected values, intervals that contain the truth
    for number in range(surveys):
        symbols = _symbols(n, rng)
        for kind, selected, covered in _ours(regress(MECHANISM, Tally.of(symbols))):
            kinds.setdefault(kind, []).append((selected, covered))
        if number < by_original:
            estimate, error = original(symbols, rng)
            covered = np.abs(estimate - TRUTH) <= 1.96 * error
            kinds.setdefault("original_detected", []).append((estimate > 1e-6 + 2 * error, covered))
        done()
    return {"reports": n, **{kind: _summary(found) for kind, found in kinds.items()}}


def _ours(found: Regression) -> list[tuple[str, Array, Array]]:
    def contains(interval: tuple[Array, Array]) -> Array:
        low, high = interval
        return (low <= TRUTH) & (high >= TRUTH)

    chosen, published = found.detected(0.95), contains(found.interval(0.95))
    unaware = contains(normal_interval(found.shares, found.standard_error, 0.95))
    return [
        ("all", np.ones(TRUTH.shape, dtype=bool), published),
        ("detected", chosen, published),
        ("detected_estimate_and_error", chosen, unaware),
        ("two_standard_errors", found.shares > 2 * found.standard_error, published),
    ]


def _summary(found: list[tuple[Array, Array]]) -> dict[str, Any]:
    """Coverage, its standard error over whole surveys (a ratio of sums), and how many values were selected."""
    selected = np.array([chosen.sum() for chosen, _ in found])
    covered = np.array([(chosen & contained).sum() for chosen, contained in found])
    coverage = covered.sum() / selected.sum()
    spread = (covered - coverage * selected).std(ddof=1) if len(found) > 1 else float("nan")
    return {
        "surveys": len(found),
        "values": float(selected.mean()),
        "coverage": float(coverage),
        "coverage_standard_error": float(spread / np.sqrt(len(found)) / selected.mean()) if len(found) > 1 else None,
    }


BITS = np.array([[MECHANISM.bits(group, value) for value in range(100)] for group in range(64)])
SET = np.vstack([(BITS[group] >> np.arange(32)[:, None] & 1).astype(float) for group in range(64)])  # (64 x 32, 100)


def _symbols(n: int, rng: np.random.Generator) -> Array:
    """n reports. With f = .5, p = .25, q = .75 both stages together flip a bit with probability 3/8 = 1/2 (1 - 1/4)."""
    assert (MECHANISM.exact_channel.p, MECHANISM.exact_channel.q) == (Fraction(5, 8), Fraction(3, 8))
    values, groups = rng.choice(100, n, p=TRUTH), rng.integers(0, 64, n)
    a, b, c = rng.integers(0, 2**32, (3, n), dtype=np.uint32)
    return groups << 32 | BITS[groups, values] ^ (a & (b | c)).astype(np.int64)


def original(symbols: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Estimates and standard errors of the original decoder."""
    p, q = float(MECHANISM.channel.p), float(MECHANISM.channel.q)
    groups = symbols >> 32
    n = np.bincount(groups, minlength=64)[:, None]
    ones = np.array([np.bincount(groups, symbols >> place & 1, minlength=64) for place in range(32)]).T
    rates = (ones / n - q) / (p - q)
    expected = q + (p - q) * np.clip(rates, 0, 1)
    errors = np.sqrt(expected * (1 - expected) / n) / (p - q)
    fits = [_fit(rates, errors)]
    for _ in range(FITS - 1):
        fits.append(_fit(rates + rng.normal(size=errors.shape) * errors, errors * np.sqrt(2)))
    return np.mean(fits, axis=0), np.std(fits, axis=0, ddof=1)


def _fit(rates: Array, errors: Array) -> Array:
    most = np.clip(rates + 3 * errors, 0.01, 1).ravel()
    sides = np.vstack([np.eye(100), -np.ones((1, 100)), -SET])
    return constrained(SET, rates.ravel(), sides, np.concatenate([np.zeros(100), [-1.0], -most]))


def constrained(design: Array, seen: Array, sides: Array, least: Array) -> Array:
    """Least squares with sides @ x >= least, as a least distance problem. Lawson & Hanson 1974, chapter 23."""
    q, r = np.linalg.qr(design)
    back, middle = np.linalg.inv(r), q.T @ seen
    normals = sides @ back
    matrix = np.vstack([normals.T, least - normals @ middle])
    wanted = np.zeros(matrix.shape[0])
    wanted[-1] = 1
    dual, _ = nnls(matrix, wanted, maxiter=100 * matrix.shape[1])
    rest = matrix @ dual - wanted
    return back @ (middle - rest[:-1] / rest[-1])
