"""The design `direct`: the symbol is a value."""

from __future__ import annotations

from typing import Any

from reference_client.words import Words


class Direct:
    def __init__(self, description: dict[str, Any], d: int) -> None:
        self.symbols, self.per_value = d, 1

    def supports(self, symbol: int, v: int) -> bool:
        return symbol == v

    def draw(self, v: int, supporting: bool, words: Words) -> int:
        if supporting:
            return v
        x = words.below(self.symbols - 1)
        return x + 1 if x >= v else x
