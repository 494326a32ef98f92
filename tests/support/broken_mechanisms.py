"""Mechanisms, memories, sources and clients that break their promise, each in one way.

Every kind was seen in software for local differential privacy or is an easy mistake to make. An audit must find all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import Any

import pytest

from hushtally.client_sdk.device import answering
from hushtally.client_sdk.mechanisms import (
    Affine,
    Direct,
    Mechanism,
    Optimized,
    Permanent,
    Projective,
    Rappor,
    Subset,
    Symmetric,
    Weights,
    build,
)
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.unary import Unary
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.state import answers
from hushtally.client_sdk.testing import SeededRandomness

Perturb = Callable[[Any, int, Randomness], int]


def altered(mechanism: Mechanism, **methods: Any) -> Mechanism:
    """The same mechanism with other methods: what a subclass, a patch or a merge mistake makes of it."""
    kind = type(mechanism)
    made: Mechanism = object.__new__(type(kind.__name__, (kind,), {"__module__": __name__, **methods}))
    made.__dict__.update({name: value for name, value in vars(mechanism).items() if not name.startswith("exact_")})
    return made


def shipped(mechanism: Any) -> Any:
    """The class that ships, below everything that was altered."""
    return next(kind for kind in type(mechanism).__mro__ if kind.__module__.startswith("hushtally."))


def auto(domain: int, epsilon: float = 1.0, permanent: float | None = None) -> Mechanism:
    return build("auto", {}, domain, epsilon, permanent)


def once_for(bad: int, other: Perturb) -> Perturb:
    """A perturb that is wrong for one value only."""

    def perturb(self: Any, value: int, randomness: Randomness) -> int:
        if value == bad:
            return other(self, value, randomness)
        return int(shipped(self).perturb(self, value, randomness))

    return perturb


# --- mechanisms -------------------------------------------------------------------------------------------------------


def constant(self: Any, value: int, randomness: Randomness) -> int:
    return 7 % int(self.symbols)


def truthful(self: Any, value: int, randomness: Randomness) -> int:
    """Always a symbol that supports the value."""
    return int(self.draw_supporting(value, randomness))


def uniform(self: Any, value: int, randomness: Randomness) -> int:
    """Reveals nothing, and so counts nothing."""
    return randomness.below(self.symbols)


def first_supporting(self: Any, value: int, randomness: Randomness) -> int:
    """Of the supporting symbols always the first."""
    symbol = int(shipped(self).perturb(self, value, randomness))
    if not self.supports(symbol, value):
        return symbol
    return next(one for one in range(self.symbols) if self.supports(one, value))


def leaked_bit(self: Any, value: int, randomness: Randomness) -> int:
    """The lowest bit of the symbol is that of the value."""
    symbol = int(shipped(self).perturb(self, value, randomness)) // 2 * 2 + value % 2
    return min(symbol, int(self.symbols) - 1)


def own_words(self: Any, value: int, randomness: Randomness) -> int:
    """Chances by a remainder of a random word, which is biased."""
    heads = randomness.word() % self._odds[1] < self._odds[0]
    return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))


def own_generator(self: Any, value: int, randomness: Randomness) -> int:
    """Chances from Python's generator, which can be predicted."""
    return int(shipped(self).perturb(self, value, SeededRandomness(random.getrandbits(40))))


def float_coin(self: Any, value: int, randomness: Randomness) -> int:
    """Chances rounded to a percent."""
    heads = randomness.coin(round(100 * self._odds[0] / self._odds[1]), 100)
    return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))


def swapped_coin(self: Any, value: int, randomness: Randomness) -> int:
    heads = randomness.coin(*self._odds)
    return int(self.draw_other(value, randomness) if heads else self.draw_supporting(value, randomness))


def neighbour(self: Any, value: int, randomness: Randomness) -> int:
    """Randomizes the next value instead."""
    return int(shipped(self).perturb(self, (value + 1) % self.domain, randomness))


def shifted(self: Any, value: int, randomness: Randomness) -> int:
    """One past the last symbol, sometimes."""
    return int(shipped(self).perturb(self, value, randomness)) + 1


def scaled(factor: Fraction) -> Perturb:
    """The truth told more or less often than the channel says."""

    def perturb(self: Any, value: int, randomness: Randomness) -> int:
        chance = Fraction(*self._odds) * factor
        heads = randomness.coin(chance.numerator, chance.denominator)
        return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))

    return perturb


def short_window(self: Affine, value: int, randomness: Randomness) -> int:
    """One residue of the window is never drawn, so its symbol rules the value out."""
    return self._symbol(value, randomness.below(self.multipliers), randomness.below(self.w - 1))


def fewer_symbols(self: Any, value: int, randomness: Randomness) -> int:
    """Of the symbols that do not support the value, the last is never drawn."""
    while True:
        symbol = int(shipped(self).draw_other(self, value, randomness))
        if symbol != self.symbols - 1:
            return symbol


def missing_multiple(self: Projective, value: int, randomness: Randomness) -> int:
    return self._symbol(value, randomness.below(self._free - 2) + 1, 0)


def one_bit_more(self: Unary, value: int, randomness: Randomness) -> int:
    """The bit after the true one is drawn as if it were true, too."""
    both = (value, (value + 1) % self.domain)
    return self._bits([self.truth if v in both else self.others for v in range(self.domain)], randomness)


def bit_in_clear(self: Unary, value: int, randomness: Randomness) -> int:
    return int(shipped(self).perturb(self, value, randomness)) | 1 << value


@dataclass(frozen=True)
class ValueFirst(Subset):
    """The symbol also says which member of the set was put down first: the true value, if it is one."""

    @property
    def symbols(self) -> int:
        return super().symbols * self.w

    @property
    def _odds(self) -> tuple[int, int]:  # type: ignore[override]
        supporting = self.weights.near * self.symbols_per_value
        return supporting, supporting + self.weights.far * (super().symbols - self.symbols_per_value)

    @property
    def _draws(self) -> tuple[int, int]:  # type: ignore[override]
        return self.symbols_per_value, super().symbols - self.symbols_per_value

    def perturb(self, value: int, randomness: Randomness) -> int:
        rank = super().perturb(value, randomness)
        members = self.members(rank)
        first = members.index(value) if value in members else randomness.below(self.w)
        return rank * self.w + first

    def supports(self, symbol: int, value: int) -> bool:
        return super().supports(symbol // self.w, value)


def with_epsilon(mechanism: Any, factor: float) -> Mechanism:
    """Made for another epsilon than the survey claims."""
    return replace(mechanism, weights=Weights.of(mechanism.weights.epsilon * factor))


def lying(mechanism: Any, factor: float) -> Mechanism:
    """Made for another epsilon, and says that it was made for the claimed one."""
    ratio = mechanism.ratio
    return altered(with_epsilon(mechanism, factor), ratio=property(lambda self: ratio))


def other_channel(mechanism: Mechanism) -> Mechanism:
    """Debiased with a p that is a little off."""
    exact = mechanism.exact_channel
    wrong = Channel(Fraction(exact.p) * Fraction(99, 100), exact.q)
    return altered(
        mechanism, exact_channel=property(lambda self: wrong), channel=property(lambda self: wrong.to_float())
    )


@dataclass(frozen=True)
class Redrawn(Permanent):
    """The value itself is stored, and every report draws its noise anew."""

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return value

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return self.single_report.perturb(permanent, randomness)


def clear_repeat(self: Permanent, permanent: int, randomness: Randomness) -> int:
    """The permanent symbol is sent as it is."""
    return permanent


def repeat_more(self: Permanent, permanent: int, randomness: Randomness) -> int:
    kept = min(self._gamma_numerator * 21 // 20, 2**64)
    return permanent if randomness.coin(kept, 2**64) else self.single_report.draw_baseline(randomness)


def narrow_blank(self: Permanent, permanent: int, randomness: Randomness) -> int:
    return permanent if randomness.coin(self._gamma_numerator, 2**64) else randomness.below(self.symbols // 2)


def draw_for(bad: int, symbol: int) -> Any:
    def draw(self: Any, value: int, randomness: Randomness, previous: int | None = None) -> int:
        if value == bad:
            return symbol
        return int(shipped(self).draw(self, value, randomness, previous))

    return draw


def unpermanent(mechanism: Permanent, factor: float) -> Mechanism:
    """The permanent answer is drawn for a larger epsilon than claimed."""
    return replace(
        mechanism, permanent_draw=mechanism.single_report.with_epsilon(mechanism.permanent_draw.epsilon * factor)
    )


def rappor(**changed: Any) -> Rappor:
    figures = {"k": 8, "h": 1, "m": 4, "f": Fraction(1, 2), "p": Fraction(1, 4), "q": Fraction(3, 4)}
    return Rappor(3, **(figures | changed))


def unflipped(self: Rappor, permanent: int, randomness: Randomness) -> int:
    """No instantaneous noise."""
    return permanent


MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    "one value always sends one symbol, d=2": lambda: altered(auto(2), perturb=once_for(1, constant)),
    "one value always sends one symbol, d=16": lambda: altered(auto(16), perturb=once_for(9, constant)),
    "one value always sends one symbol, d=256": lambda: altered(auto(256), perturb=once_for(137, constant)),
    "one value always sends one symbol, d=4096": lambda: altered(auto(4_096), perturb=once_for(2_001, constant)),
    "one value is told in the clear, d=64": lambda: altered(auto(64), perturb=once_for(40, truthful)),
    "one value is told in the clear, d=1024": lambda: altered(auto(1_024), perturb=once_for(700, truthful)),
    "one value is uniform, d=300": lambda: altered(auto(300), perturb=once_for(211, uniform)),
    "all values are uniform": lambda: altered(auto(5), perturb=uniform),
    "the first supporting symbol": lambda: altered(auto(16), perturb=first_supporting),
    "a leaked bit, d=6": lambda: altered(Subset(6, Weights.of(1.0), 3), perturb=leaked_bit),
    "a leaked bit, d=256": lambda: altered(auto(256), perturb=leaked_bit),
    "a value put first": lambda: ValueFirst(6, Weights.of(1.0), 2),
    "words used directly": lambda: altered(auto(8), perturb=own_words),
    "a generator of its own": lambda: altered(auto(8), perturb=own_generator),
    "chances rounded to a percent": lambda: altered(auto(20), perturb=float_coin),
    "the coin the wrong way round": lambda: altered(auto(3), perturb=swapped_coin),
    "the next value instead": lambda: altered(auto(12), perturb=neighbour),
    "a symbol past the last": lambda: altered(auto(40), perturb=shifted),
    "2% too truthful, d=2": lambda: altered(Direct(2, Weights.of(1.0)), perturb=scaled(Fraction(102, 100))),
    "2% too shy, d=2": lambda: altered(Direct(2, Weights.of(1.0)), perturb=scaled(Fraction(98, 100))),
    "0.1% too truthful, d=100": lambda: altered(auto(100), perturb=scaled(Fraction(1_001, 1_000))),
    "a window one short, d=64": lambda: altered(auto(64), draw_supporting=short_window),
    "a window one short, d=1024": lambda: altered(auto(1_024), draw_supporting=short_window),
    "a symbol never drawn": lambda: altered(auto(16), draw_other=fewer_symbols),
    "a multiple never drawn, d=4096": lambda: altered(auto(4_096), draw_supporting=missing_multiple),
    "unary, two bits true": lambda: altered(Optimized.of(16, 1.0), perturb=one_bit_more),
    "unary, the bit in the clear": lambda: altered(Symmetric.of(20, 1.0), perturb=bit_in_clear),
    "epsilon 1% too large, d=4": lambda: with_epsilon(auto(4), 1.01),
    "epsilon 1% too large, d=256": lambda: with_epsilon(auto(256), 1.01),
    "epsilon 1% too large and denied, d=4": lambda: lying(auto(4), 1.01),
    "epsilon 1% too large and denied, d=1024": lambda: lying(auto(1_024), 1.01),
    "epsilon 5% too small": lambda: with_epsilon(auto(4), 0.95),
    "another p in the estimates": lambda: other_channel(auto(16)),
}
PERMANENT: dict[str, Callable[[], Mechanism]] = {
    "noise redrawn": lambda: Redrawn(Direct(4, Weights.of(1.0)), Direct(4, Weights.of(2.0))),
    "sent without noise": lambda: altered(auto(3, 1.0, 2.0), repeat=clear_repeat),
    "repeated 5% too often": lambda: altered(auto(30, 1.0, 2.0), repeat=repeat_more),
    "blanks from half of the symbols": lambda: altered(auto(30, 1.0, 2.0), repeat=narrow_blank),
    "one value has a fixed answer, d=16": lambda: altered(auto(16, 1.0, 2.0), draw=draw_for(11, 5)),
    "one value has a fixed answer, d=512": lambda: altered(auto(512, 1.0, 2.0), draw=draw_for(333, 5)),
    "the permanent epsilon 1% too large": lambda: unpermanent(auto(8, 1.0, 2.0), 1.01),  # type: ignore[arg-type]
    "RAPPOR without its second noise": lambda: altered(rappor(), repeat=unflipped),
    "RAPPOR with less permanent noise": lambda: replace(rappor(), f=Fraction(1, 10)),
}


# --- the source, and clients: applied to the code itself --------------------------------------------------------------


def biased_below(self: Randomness, n: int) -> int:
    """The remainder of a word: small results come more often."""
    return self.word() % n


def clamped_below(self: Randomness, n: int) -> int:
    """What is too large becomes the largest."""
    return min(self.word() >> (64 - max((n - 1).bit_length(), 1)), n - 1) if n > 1 else 0


def float_below(self: Randomness, n: int) -> int:
    """By a float of 53 bits."""
    return int((self.word() >> 11) / 2**53 * n)


def wide_coin(self: Randomness, favourable: int, outcomes: int) -> bool:
    return self.below(outcomes) <= favourable


def truncated_word(self: SystemRandomness) -> int:
    return int.from_bytes(os.urandom(4), "big")


def skewed_word(self: SystemRandomness) -> int:
    """The highest bit is 1 with chance 9/16."""
    word = int.from_bytes(os.urandom(8), "big")
    return word | 1 << 63 if os.urandom(1)[0] < 32 else word


WORDS = [random.Random(seed).getrandbits(64) for seed in range(4_096)]
places = count()


def recurring_word(self: SystemRandomness) -> int:
    return WORDS[next(places) % len(WORDS)]


SOURCES: dict[str, tuple[type, str, Any]] = {
    "a remainder": (Randomness, "below", biased_below),
    "a clamp": (Randomness, "below", clamped_below),
    "a float": (Randomness, "below", float_below),
    "one more favourable outcome": (Randomness, "coin", wide_coin),
    "words of 32 bits": (SystemRandomness, "word", truncated_word),
    "a skewed bit": (SystemRandomness, "word", skewed_word),
    "words that recur": (SystemRandomness, "word", recurring_word),
}

recall = answers.recall


def forget(connection: Any, device: int, *rest: Any) -> Any:
    """Stored answers are lost."""
    connection.execute("DELETE FROM answers")
    return recall(connection, device, *rest)


def forget_one(connection: Any, device: int, survey: Any, question: Any, *rest: Any) -> Any:
    """The stored answer of one value is lost."""
    connection.execute("DELETE FROM answers WHERE value = ?", (question.mechanism.domain // 2,))
    return recall(connection, device, survey, question, *rest)


def always_first(connection: Any, device: int, survey: Any, question: Any, signals: Any, source: Any) -> Any:
    """The first answer is repeated for every later value."""
    row = connection.execute(
        "SELECT symbol FROM answers WHERE device = ? AND question = ? ORDER BY used LIMIT 1", (device, question.id)
    ).fetchone()
    if row is None:
        return recall(connection, device, survey, question, signals, source)
    return question.mechanism.repeat(row[0], source), 0.0


def in_the_clear(connection: Any, device: int, survey: Any, question: Any, *rest: Any) -> Any:
    """The permanent symbol itself is sent."""
    recall(connection, device, survey, question, *rest)
    (symbol,) = connection.execute(
        "SELECT symbol FROM answers WHERE device = ? AND question = ? ORDER BY used DESC LIMIT 1", (device, question.id)
    ).fetchone()
    return symbol, 0.0


FORGETFUL: dict[str, Any] = {
    "every answer forgotten": forget,
    "one value's answer forgotten": forget_one,
    "the first answer for ever": always_first,
    "the permanent symbol sent": in_the_clear,
}


def clear_report(kind: type[Any]) -> Any:
    """A client that sends the value of one segment instead of its symbol."""

    def report(question: str, epoch: str, cohort: Any, symbol: int) -> Any:
        return kind(question, epoch, cohort, 0)

    return report


CLIENTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "symbols replaced on the way": lambda patch: patch.setattr(answering, "Report", clear_report(answering.Report)),
    "a source of its own": lambda patch: patch.setattr(
        "hushtally.client_sdk.client.SystemRandomness", lambda: SeededRandomness(4)
    ),
    "answers in every epoch": lambda patch: patch.setattr(
        "hushtally.client_sdk.state.schedule.Schedule.answers_in", lambda self, survey, day: survey.runs(day)
    ),
}
