"""Direct encoding, also called k-ary randomized response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from hushtally.client_sdk.mechanisms.base import Weights
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.randomness import Randomness


@dataclass(frozen=True)
class Direct(Design):
    """k-ary randomized response: the symbol is a value; the true one has weight e^epsilon, any other weight 1.

    With d values, p = e^epsilon / (e^epsilon + d - 1) and q = 1 / (e^epsilon + d - 1). Direct encoding is optimal for
    two values, and for few values at a large epsilon. Warner 1965; Kairouz, Bonawitz & Ramage 2016.
    """

    name: ClassVar[str] = "direct"

    @classmethod
    def candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        if domain <= max_symbols:
            yield cls(domain, Weights.of(epsilon))

    @property
    def symbols(self) -> int:
        return self.domain

    symbols_per_value = 1
    symbols_per_pair = 0

    @property
    def parameters(self) -> Mapping[str, object]:
        return {}

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        return value

    def draw_other(self, value: int, randomness: Randomness) -> int:
        other = randomness.below(self.domain - 1)
        return other + (other >= value)

    def supports(self, symbol: int, value: int) -> bool:
        return symbol == value
