"""A second client, written from tests/vectors/README.md alone and without speed: it must make the same symbols."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from itertools import combinations, product
from math import comb, isqrt
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"
MOST_SETS = 20_000  # the sets are listed to rank them

Coin = Sequence[int]


class Words:
    def __init__(self, words: list[str]) -> None:
        self.words = [int(word, 16) for word in words]

    def below(self, n: int) -> int:
        bits = (n - 1).bit_length()
        while bits:
            taken = [self.words.pop(0) for _ in range(-(-bits // 64))]
            number = int("".join(f"{word:064b}" for word in taken)[:bits], 2)
            if number < n:
                return number
        return 0

    def coin(self, k: int, n: int) -> bool:
        return self.below(n) < k

    def bits(self, coins: list[Coin]) -> int:
        return int("".join("01"[self.coin(*coin)] for coin in coins)[::-1], 2)


def design(told: dict[str, Any], d: int, weights: Coin, v: int, words: Words) -> int:
    sizes = {
        "direct": lambda: (d, 1),
        "subset": lambda: (comb(d, told["w"]), comb(d - 1, told["w"] - 1)),
        "affine": lambda: (told["r"] * (told["r"] ** t - 1), (told["r"] ** t - 1) * told["w"]),
        "projective": lambda: tuple((told["r"] ** n - 1) // (told["r"] - 1) for n in (t, t - 1)),
    }
    t = told.get("t", 1)
    total, c = sizes[told["name"]]()
    near, far = weights
    supporting = words.coin(near * c, near * c + far * (total - c))
    return {"direct": direct, "subset": subset, "affine": affine, "projective": projective}[told["name"]](
        told, d, v, supporting, words
    )


def direct(told: dict[str, Any], d: int, v: int, supporting: bool, words: Words) -> int:
    return v if supporting else [other for other in range(d) if other != v][words.below(d - 1)]


def subset(told: dict[str, Any], d: int, v: int, supporting: bool, words: Words) -> int:
    w = told["w"] - 1 if supporting else told["w"]
    others = [other for other in range(d) if other != v]
    rank = words.below(comb(d - 1, w))
    chosen = sorted(combinations(range(d - 1), w), key=lambda one: one[::-1])[rank]
    members = sorted([others[number] for number in chosen] + [v] * supporting)
    return sum(comb(member, place) for place, member in enumerate(members, 1))


def affine(told: dict[str, Any], d: int, v: int, supporting: bool, words: Words) -> int:
    r, w, t = told["r"], told["w"], told.get("t", 1)
    m = 1 + words.below(r**t - 1)
    x = words.below(w) if supporting else w + words.below(r - w)
    p = isqrt(r) if isqrt(r) ** 2 == r else r
    if p < r:
        n = next(n for n in range(2, p) if all(a * a % p != n for a in range(p)))
        (b, a), (d1, c) = divmod(m, p), divmod(v, p)
        product = (a * c + n * b * d1) % p, (a * d1 + b * c) % p
        return (m - 1) * r + (product[0] - x % p) % p + p * ((product[1] - x // p) % p)
    inner = sum((m // r**place % r) * (v // r**place % r) for place in range(t))
    return (m - 1) * r + (inner - x) % r


def projective(told: dict[str, Any], d: int, v: int, supporting: bool, words: Words) -> int:
    r, t = told["r"], told["t"]
    vector = next(one for one in canonical(r, t) if index(one, r) == v)
    pivot = vector.index(1)
    free = 1 + words.below(r ** (t - 1) - 1) if supporting else words.below(r ** (t - 1))
    digits = [free // r**place % r for place in reversed(range(t - 1))]
    for coordinate in range(r):
        u = [*digits[:pivot], coordinate, *digits[pivot:]]
        if sum(a * b for a, b in zip(u, vector, strict=True)) % r == (0 if supporting else 1):
            break
    multiples = ([factor * a % r for a in u] for factor in range(1, r))
    return index(next(one for one in multiples if next(filter(None, one)) == 1), r)


def canonical(r: int, t: int) -> Any:
    """From the shortest tail on: value indices are small."""
    for m in range(t):
        for tail in product(range(r), repeat=m):
            yield [0] * (t - 1 - m) + [1, *tail]


def index(vector: list[int], r: int) -> int:
    tail = vector[next(place for place, a in enumerate(vector) if a) + 1 :]
    return (r ** len(tail) - 1) // (r - 1) + sum(a * r**place for place, a in enumerate(reversed(tail)))


def rappor_set(told: dict[str, Any], group: int, v: int) -> set[int]:
    texts = [f"rappor/{group}/{number}/{v}" for number in range(told["h"])]
    return {int.from_bytes(sha256(text.encode("ascii")).digest()[:8], "big") % told["k"] for text in texts}


def rappor_draw(told: dict[str, Any], v: int, previous: int | None, words: Words) -> int:
    group = words.below(told["m"]) if previous is None else previous // 2 ** told["k"]
    ones = rappor_set(told, group, v)
    coins = [told["permanent_set"] if b in ones else told["permanent_unset"] for b in range(told["k"])]
    return group * 2 ** told["k"] + int(words.bits(coins))


def once(told: dict[str, Any], d: int, v: int, words: Words, prefix: str = "") -> int:
    """One draw with the plain or, by its prefix, the permanent numbers."""
    if "weights" in told:
        return design(told, d, told[f"{prefix}weights"], v, words)
    return words.bits([told[f"{prefix}truth"] if bit == v else told[f"{prefix}others"] for bit in range(d)])


def draw(told: dict[str, Any], d: int, v: int, previous: int | None, words: Words) -> int:
    return rappor_draw(told, v, previous, words) if told["name"] == "rappor" else once(told, d, v, words, "permanent_")


def repeat(told: dict[str, Any], d: int, x: int, words: Words) -> int:
    if told["name"] == "rappor":
        group, bits = divmod(x, 2 ** told["k"])
        coins = [told["set"] if bits >> b & 1 else told["unset"] for b in range(told["k"])]
        return group * 2 ** told["k"] + int(words.bits(coins))
    if words.coin(int(told["gamma"]), 2**64):
        return x
    return words.below(told["symbols"]) if "weights" in told else words.bits([told["others"]] * d)


CASES = [
    pytest.param(case, id=f"{path.stem}-{n}")
    for path in sorted(VECTORS.glob("*.json"))
    for n, case in enumerate(json.loads(path.read_text(encoding="utf-8")).get("cases", []))
    if "perturb" in case
    if case["description"]["name"] != "subset" or case["description"]["symbols"] <= MOST_SETS
]


@pytest.mark.parametrize("case", CASES)
def test_the_readme_is_enough(case: dict[str, Any]) -> None:
    """Every symbol follows from the description, the value and the words by the rules of the README."""
    told, d = case["description"], case["ask"]["domain"]
    for step in case["perturb"]:
        words = Words(step["words"])
        if "draw" in case:
            assert repeat(told, d, draw(told, d, step["value"], None, words), words) == step["symbol"]
        else:
            assert once(told, d, step["value"], words) == step["symbol"]
        assert not words.words
    for step in case.get("draw", []):
        assert draw(told, d, step["value"], step["previous"], Words(step["words"])) == step["permanent"]
    for step in case.get("repeat", []):
        assert repeat(told, d, step["permanent"], Words(step["words"])) == step["symbol"]
