"""Time to randomize one answer on a device, for the four mechanisms of the automatic choice.

The table shows microseconds per call of `perturb` (the median over rounds of the mean in a round), the target, and the
ratio to one call of os.urandom(8), which is the least that one random word costs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from statistics import median
from time import perf_counter

from hushtally.client_sdk.mechanisms import Affine, Direct, Mechanism, Projective, Subset, Weights
from hushtally.client_sdk.randomness import SystemRandomness

ROUNDS = 31
CALLS = 1_000
ONE = Weights.of(1.0)
CASES: tuple[tuple[Mechanism, float], ...] = (
    (Direct(16, ONE), 8),
    (Affine(64, ONE, 67, 18), 10),
    (Subset(16, ONE, 4), 30),
    (Projective(16_384, ONE, 3, 10), 50),
    (Projective(16_384, Weights.of(0.25), 2, 15), 50),
)


def microseconds(call: Callable[[int], object]) -> float:
    """The median over ROUNDS rounds of the mean time of CALLS calls; each call gets another number."""
    times = []
    for _ in range(ROUNDS):
        begin = perf_counter()
        for number in range(CALLS):
            call(number)
        times.append((perf_counter() - begin) / CALLS * 1e6)
    return median(times)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    randomness = SystemRandomness()
    urandom = microseconds(lambda _: os.urandom(8))
    print(f"{'mechanism':<32} {'us':>6} {'target':>7} {'x urandom(8)':>13}")
    for mechanism, target in CASES:

        def perturb(number: int, mechanism: Mechanism = mechanism) -> int:
            return mechanism.perturb(number % mechanism.domain, randomness)

        perturb(0)  # the first call builds tables
        took = microseconds(perturb)
        parameters = ", ".join(f"{key} = {value}" for key, value in mechanism.parameters.items())
        title = f"{mechanism.name} d = {mechanism.domain:,}{', ' * bool(parameters)}{parameters}"
        print(f"{title:<32} {took:6.1f} {target:7.0f} {took / urandom:13.1f}")
    print(f"os.urandom(8): {urandom:.2f} us")


if __name__ == "__main__":
    main()
