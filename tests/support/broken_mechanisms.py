"""Mechanisms, memories, random sources and clients that break their promise, each in one way.

Each mistake is easy to make or was found in software for local differential privacy. An audit must find all of them.
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
    """The same mechanism with some methods replaced, as by a subclass, a patch or a bad merge."""
    kind = type(mechanism)
    made: Mechanism = object.__new__(type(kind.__name__, (kind,), {"__module__": __name__, **methods}))
    made.__dict__.update({name: value for name, value in vars(mechanism).items() if not name.startswith("exact_")})
    return made


def shipped(mechanism: Any) -> Any:
    """The shipped class from which an altered mechanism derives."""
    return next(kind for kind in type(mechanism).__mro__ if kind.__module__.startswith("hushtally."))


def auto(domain: int, epsilon: float = 1.0, permanent: float | None = None) -> Mechanism:
    """The mechanism that hushtally chooses by itself; permanent: the epsilon of permanent memory."""
    return build("auto", {}, domain, epsilon, permanent)


def once_for(bad: int, other: Perturb) -> Perturb:
    """Uses the perturb `other` for the value `bad` and the shipped perturb for every other value."""

    def perturb(self: Any, value: int, randomness: Randomness) -> int:
        if value == bad:
            return other(self, value, randomness)
        return int(shipped(self).perturb(self, value, randomness))

    return perturb


# --- mechanisms -------------------------------------------------------------------------------------------------------


def constant(self: Any, value: int, randomness: Randomness) -> int:
    """Always sends the same symbol."""
    return 7 % int(self.symbols)


def truthful(self: Any, value: int, randomness: Randomness) -> int:
    """Always sends a symbol that supports the value."""
    return int(self.draw_supporting(value, randomness))


def uniform(self: Any, value: int, randomness: Randomness) -> int:
    """Sends a symbol that does not depend on the value, so estimates are useless."""
    return randomness.below(self.symbols)


def first_supporting(self: Any, value: int, randomness: Randomness) -> int:
    """Always sends the first of the symbols that support the value."""
    symbol = int(shipped(self).perturb(self, value, randomness))
    if not self.supports(symbol, value):
        return symbol
    return next(one for one in range(self.symbols) if self.supports(one, value))


def leaked_bit(self: Any, value: int, randomness: Randomness) -> int:
    """Sends a symbol whose lowest bit is the lowest bit of the value."""
    symbol = int(shipped(self).perturb(self, value, randomness)) // 2 * 2 + value % 2
    return min(symbol, int(self.symbols) - 1)


def own_words(self: Any, value: int, randomness: Randomness) -> int:
    """Tosses its coin with the remainder of a random word, which is biased."""
    heads = randomness.word() % self._odds[1] < self._odds[0]
    return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))


def own_generator(self: Any, value: int, randomness: Randomness) -> int:
    """Draws from Python's random generator, which can be predicted."""
    return int(shipped(self).perturb(self, value, SeededRandomness(random.getrandbits(40))))


def float_coin(self: Any, value: int, randomness: Randomness) -> int:
    """Rounds the chance of a supporting symbol to a whole percent."""
    heads = randomness.coin(round(100 * self._odds[0] / self._odds[1]), 100)
    return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))


def swapped_coin(self: Any, value: int, randomness: Randomness) -> int:
    """Sends a supporting symbol with the chance of another symbol, and the other way round."""
    heads = randomness.coin(*self._odds)
    return int(self.draw_other(value, randomness) if heads else self.draw_supporting(value, randomness))


def neighbour(self: Any, value: int, randomness: Randomness) -> int:
    """Randomizes the next value instead of the true value."""
    return int(shipped(self).perturb(self, (value + 1) % self.domain, randomness))


def shifted(self: Any, value: int, randomness: Randomness) -> int:
    """Adds 1 to every symbol, so some symbols do not exist."""
    return int(shipped(self).perturb(self, value, randomness)) + 1


def scaled(factor: Fraction) -> Perturb:
    """Multiplies the chance of a supporting symbol by a factor."""

    def perturb(self: Any, value: int, randomness: Randomness) -> int:
        chance = Fraction(*self._odds) * factor
        heads = randomness.coin(chance.numerator, chance.denominator)
        return int(self.draw_supporting(value, randomness) if heads else self.draw_other(value, randomness))

    return perturb


def short_window(self: Affine, value: int, randomness: Randomness) -> int:
    """Never draws the last offset of the window, so some symbols rule the value out."""
    return self._symbol(value, randomness.below(self.multipliers), randomness.below(self.w - 1))


def fewer_symbols(self: Any, value: int, randomness: Randomness) -> int:
    """Never draws the last symbol if it does not support the value."""
    while True:
        symbol = int(shipped(self).draw_other(self, value, randomness))
        if symbol != self.symbols - 1:
            return symbol


def missing_multiple(self: Projective, value: int, randomness: Randomness) -> int:
    """Never draws one of the vectors that support the value."""
    return self._symbol(value, randomness.below(self._free - 2) + 1, 0)


def one_bit_more(self: Unary, value: int, randomness: Randomness) -> int:
    """Draws the bit after the true bit as if that bit were also true."""
    both = (value, (value + 1) % self.domain)
    return self._bits([self.truth if v in both else self.others for v in range(self.domain)], randomness)


def bit_in_clear(self: Unary, value: int, randomness: Randomness) -> int:
    """Always sets the bit of the true value."""
    return int(shipped(self).perturb(self, value, randomness)) | 1 << value


def shared_coin(self: Unary, value: int, randomness: Randomness) -> int:
    """Draws one coin for all bits of other values, so they are equal."""
    others = randomness.coin(*self.others)
    bits = ((1 << self.domain) - 1 if others else 0) & ~(1 << value)
    return bits | randomness.coin(*self.truth) << value


def best_of_three(self: Any, value: int, randomness: Randomness) -> int:
    """Draws three symbols and sends the most frequent one, to reduce the noise."""
    symbols = [int(shipped(self).perturb(self, value, randomness)) for _ in range(3)]
    return max(symbols, key=symbols.count)


def second_try(self: Any, value: int, randomness: Randomness) -> int:
    """Draws again if the symbol does not support the value."""
    symbol = int(shipped(self).perturb(self, value, randomness))
    return symbol if self.supports(symbol, value) else int(shipped(self).perturb(self, value, randomness))


def supports_next(self: Any, symbol: int, value: int) -> bool:
    """Tests the next value, so estimates are useless."""
    return bool(shipped(self).supports(self, symbol, (value + 1) % self.domain))


@dataclass(frozen=True)
class ValueFirst(Subset):
    """The symbol also reveals which member of the set came first: the true value, if the set contains it."""

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
    """Uses another epsilon than the survey claims."""
    return replace(mechanism, weights=Weights.of(mechanism.weights.epsilon * factor))


def lying(mechanism: Any, factor: float) -> Mechanism:
    """Uses another epsilon than the survey claims, but states the ratio of the claimed epsilon."""
    ratio = mechanism.ratio
    return altered(with_epsilon(mechanism, factor), ratio=property(lambda self: ratio))


def other_channel(mechanism: Mechanism) -> Mechanism:
    """States a p that is 1% too small, so estimates are biased."""
    exact = mechanism.exact_channel
    wrong = Channel(Fraction(exact.p) * Fraction(99, 100), exact.q)
    return altered(
        mechanism, exact_channel=property(lambda self: wrong), channel=property(lambda self: wrong.to_float())
    )


@dataclass(frozen=True)
class Redrawn(Permanent):
    """Stores the value itself and draws new noise for every report."""

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return value

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return self.single_report.perturb(permanent, randomness)


def clear_repeat(self: Permanent, permanent: int, randomness: Randomness) -> int:
    """Sends the permanent symbol without the second noise."""
    return permanent


def repeat_more(self: Permanent, permanent: int, randomness: Randomness) -> int:
    """Sends the permanent symbol 5% too often."""
    kept = min(self._gamma_numerator * 21 // 20, 2**64)
    return permanent if randomness.coin(kept, 2**64) else self.single_report.draw_baseline(randomness)


def narrow_blank(self: Permanent, permanent: int, randomness: Randomness) -> int:
    """Draws blank reports from only half of the symbols."""
    return permanent if randomness.coin(self._gamma_numerator, 2**64) else randomness.below(self.symbols // 2)


def draw_for(bad: int, symbol: int) -> Any:
    """Gives one value a fixed permanent symbol."""

    def draw(self: Any, value: int, randomness: Randomness, previous: int | None = None) -> int:
        if value == bad:
            return symbol
        return int(shipped(self).draw(self, value, randomness, previous))

    return draw


def truth_after_another(self: Permanent, value: int, randomness: Randomness, previous: int | None = None) -> int:
    """Draws a symbol that supports the value if the device has answered another value before."""
    if previous is None:
        return int(shipped(self).draw(self, value, randomness))
    return int(self.single_report.draw_supporting(value, randomness))  # type: ignore[attr-defined]


def copy_of_another(self: Permanent, value: int, randomness: Randomness, previous: int | None = None) -> int:
    """Repeats the symbol of the value that the device answered before."""
    return int(shipped(self).draw(self, value, randomness)) if previous is None else previous


def new_group(self: Rappor, value: int, randomness: Randomness, previous: int | None = None) -> int:
    """Draws another hash group for every value."""
    return int(shipped(self).draw(self, value, randomness))


def with_permanent_epsilon(mechanism: Permanent, factor: float) -> Mechanism:
    """Draws the permanent answer with a larger epsilon than the survey claims."""
    return replace(
        mechanism, permanent_draw=mechanism.single_report.with_epsilon(mechanism.permanent_draw.epsilon * factor)
    )


def rappor(**changed: Any) -> Rappor:
    """RAPPOR with three values; the arguments replace its parameters."""
    figures = {"k": 8, "h": 1, "m": 4, "f": Fraction(1, 2), "p": Fraction(1, 4), "q": Fraction(3, 4)}
    return Rappor(3, **(figures | changed))


def unflipped(self: Rappor, permanent: int, randomness: Randomness) -> int:
    """Sends the permanent bits without the second noise."""
    return permanent


MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    "one value always sends one symbol, d=2": lambda: altered(auto(2), perturb=once_for(1, constant)),
    "one value always sends one symbol, d=16": lambda: altered(auto(16), perturb=once_for(9, constant)),
    "one value always sends one symbol, d=256": lambda: altered(auto(256), perturb=once_for(137, constant)),
    "one value always sends one symbol, d=4096": lambda: altered(auto(4_096), perturb=once_for(2_001, constant)),
    "one value is always sent truthfully, d=64": lambda: altered(auto(64), perturb=once_for(40, truthful)),
    "one value is always sent truthfully, d=1024": lambda: altered(auto(1_024), perturb=once_for(700, truthful)),
    "one value is uniform, d=300": lambda: altered(auto(300), perturb=once_for(211, uniform)),
    "all values are uniform": lambda: altered(auto(5), perturb=uniform),
    "always the first supporting symbol": lambda: altered(auto(16), perturb=first_supporting),
    "a leaked bit, d=6": lambda: altered(Subset(6, Weights.of(1.0), 3), perturb=leaked_bit),
    "a leaked bit, d=256": lambda: altered(auto(256), perturb=leaked_bit),
    "the true value first in the set": lambda: ValueFirst(6, Weights.of(1.0), 2),
    "random words used directly": lambda: altered(auto(8), perturb=own_words),
    "draws from Python's generator": lambda: altered(auto(8), perturb=own_generator),
    "chances rounded to a percent": lambda: altered(auto(20), perturb=float_coin),
    "the coin swapped": lambda: altered(auto(3), perturb=swapped_coin),
    "the next value instead": lambda: altered(auto(12), perturb=neighbour),
    "symbols shifted past the last": lambda: altered(auto(40), perturb=shifted),
    "2% too often truthful, d=2": lambda: altered(Direct(2, Weights.of(1.0)), perturb=scaled(Fraction(102, 100))),
    "2% too rarely truthful, d=2": lambda: altered(Direct(2, Weights.of(1.0)), perturb=scaled(Fraction(98, 100))),
    "0.1% too often truthful, d=100": lambda: altered(auto(100), perturb=scaled(Fraction(1_001, 1_000))),
    "a window that is one too short, d=64": lambda: altered(auto(64), draw_supporting=short_window),
    "a window that is one too short, d=1024": lambda: altered(auto(1_024), draw_supporting=short_window),
    "a symbol never drawn": lambda: altered(auto(16), draw_other=fewer_symbols),
    "a vector never drawn, d=4096": lambda: altered(auto(4_096), draw_supporting=missing_multiple),
    "unary: two bits drawn as true": lambda: altered(Optimized.of(16, 1.0), perturb=one_bit_more),
    "unary: the true bit always set": lambda: altered(Symmetric.of(20, 1.0), perturb=bit_in_clear),
    "unary: one coin for all other bits": lambda: altered(Optimized.of(16, 1.0), perturb=shared_coin),
    "the most frequent of three symbols": lambda: altered(auto(5), perturb=best_of_three),
    "a second try without support": lambda: altered(auto(64), perturb=second_try),
    "support of the next value": lambda: altered(auto(16), supports=supports_next),
    "epsilon 1% too large, d=4": lambda: with_epsilon(auto(4), 1.01),
    "epsilon 1% too large, d=256": lambda: with_epsilon(auto(256), 1.01),
    "epsilon 1% too large but stated as claimed, d=4": lambda: lying(auto(4), 1.01),
    "epsilon 1% too large but stated as claimed, d=1024": lambda: lying(auto(1_024), 1.01),
    "epsilon 5% too small": lambda: with_epsilon(auto(4), 0.95),
    "p stated 1% too small": lambda: other_channel(auto(16)),
}
PERMANENT: dict[str, Callable[[], Mechanism]] = {
    "noise redrawn for every report": lambda: Redrawn(Direct(4, Weights.of(1.0)), Direct(4, Weights.of(2.0))),
    "permanent symbol sent without second noise": lambda: altered(auto(3, 1.0, 2.0), repeat=clear_repeat),
    "permanent symbol sent 5% too often": lambda: altered(auto(30, 1.0, 2.0), repeat=repeat_more),
    "blanks from half of the symbols": lambda: altered(auto(30, 1.0, 2.0), repeat=narrow_blank),
    "one value has a fixed answer, d=16": lambda: altered(auto(16, 1.0, 2.0), draw=draw_for(11, 5)),
    "one value has a fixed answer, d=512": lambda: altered(auto(512, 1.0, 2.0), draw=draw_for(333, 5)),
    "a later value sent truthfully, d=8": lambda: altered(auto(8, 1.0, 2.0), draw=truth_after_another),
    "a later value has the answer of the first": lambda: altered(auto(8, 1.0, 2.0), draw=copy_of_another),
    "RAPPOR with a new hash group for every value": lambda: altered(rappor(), draw=new_group),
    "permanent epsilon 1% too large": lambda: with_permanent_epsilon(auto(8, 1.0, 2.0), 1.01),  # type: ignore[arg-type]
    "RAPPOR without its second noise": lambda: altered(rappor(), repeat=unflipped),
    "RAPPOR with less permanent noise": lambda: replace(rappor(), f=Fraction(1, 10)),
}


# --- random sources and clients: each patches the shipped code --------------------------------------------------------


def biased_below(self: Randomness, n: int) -> int:
    """Takes the remainder of a word, so small results are more frequent."""
    return self.word() % n


def clamped_below(self: Randomness, n: int) -> int:
    """Replaces a result that is too large by the largest one, instead of drawing again."""
    return min(self.word() >> (64 - max((n - 1).bit_length(), 1)), n - 1) if n > 1 else 0


def float_below(self: Randomness, n: int) -> int:
    """Scales a float of 53 bits."""
    return int((self.word() >> 11) / 2**53 * n)


def wide_coin(self: Randomness, favourable: int, outcomes: int) -> bool:
    """Counts one more outcome as favourable."""
    return self.below(outcomes) <= favourable


def truncated_word(self: SystemRandomness) -> int:
    """Has 32 random bits instead of 64."""
    return int.from_bytes(os.urandom(4), "big")


def skewed_word(self: SystemRandomness) -> int:
    """Sets the highest bit with a chance of 9/16 instead of 1/2."""
    word = int.from_bytes(os.urandom(8), "big")
    return word | 1 << 63 if os.urandom(1)[0] < 32 else word


WORDS = [random.Random(seed).getrandbits(64) for seed in range(4_096)]
positions = count()  # in WORDS


def recurring_word(self: SystemRandomness) -> int:
    """Repeats the same 4,096 words."""
    return WORDS[next(positions) % len(WORDS)]


SOURCES: dict[str, tuple[type, str, Any]] = {
    "below: a remainder": (Randomness, "below", biased_below),
    "below: a clamp": (Randomness, "below", clamped_below),
    "below: a scaled float": (Randomness, "below", float_below),
    "coin: one more favourable outcome": (Randomness, "coin", wide_coin),
    "word: only 32 random bits": (SystemRandomness, "word", truncated_word),
    "word: a skewed bit": (SystemRandomness, "word", skewed_word),
    "word: repeated words": (SystemRandomness, "word", recurring_word),
}

recall = answers.recall


def forget(records: Any, *rest: Any) -> Any:
    """Loses all stored answers."""
    records.answers.clear()
    return recall(records, *rest)


def forget_one(records: Any, survey: Any, question: Any, *rest: Any) -> Any:
    """Loses the stored answer of one value."""
    for key in [key for key in records.answers if key[2] == question.mechanism.domain // 2]:
        del records.answers[key]
    return recall(records, survey, question, *rest)


def in_order(records: Any, question: Any) -> list[Any]:
    """The stored symbols of a question, in the order in which they were used last."""
    rows = [row for (_, id, _), row in records.answers.items() if id == question.id]
    return [symbol for symbol, _ in sorted(rows, key=lambda row: row[1])]


def always_first(records: Any, survey: Any, question: Any, signals: Any, source: Any) -> Any:
    """Repeats the first answer for every later value."""
    symbols = in_order(records, question)
    if not symbols:
        return recall(records, survey, question, signals, source)
    return question.mechanism.repeat(symbols[0], source), 0.0


def in_the_clear(records: Any, survey: Any, question: Any, *rest: Any) -> Any:
    """Sends the permanent symbol without the second noise."""
    recall(records, survey, question, *rest)
    return in_order(records, question)[-1], 0.0


MEMORIES: dict[str, Any] = {
    "all stored answers lost": forget,
    "one value: its stored answer lost": forget_one,
    "the first answer for every value": always_first,
    "the permanent symbol sent without noise": in_the_clear,
}


def zero_report(kind: type[Any]) -> Any:
    """Sends symbol 0 instead of the symbol that the mechanism returned."""

    def report(question: str, epoch: str, cohort: Any, symbol: int) -> Any:
        return kind(question, epoch, cohort, 0)

    return report


def only_with_events(answer: Any) -> Any:
    """The function `answer` of the client, for a device that has events; nothing for a device without any."""

    def answer_with_events(records: Any, survey: Any, schedule: Any, history: Any, *rest: Any) -> Any:
        return answer(records, survey, schedule, history, *rest) if history else []

    return answer_with_events


CLIENTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "every symbol replaced by 0": lambda patch: patch.setattr(answering, "Report", zero_report(answering.Report)),
    "a random source of its own": lambda patch: patch.setattr(
        "hushtally.client_sdk.client.SystemRandomness", lambda: SeededRandomness(4)
    ),
    "no answer without events": lambda patch: patch.setattr(answering, "answer", only_with_events(answering.answer)),
    "answers in every epoch": lambda patch: patch.setattr(
        "hushtally.client_sdk.state.schedule.Schedule.answers_in", lambda self, survey, day: survey.runs(day)
    ),
}
