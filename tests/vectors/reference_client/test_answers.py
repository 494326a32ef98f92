"""A second client, written from tests/vectors/README.md alone and without speed: it must make the same answers."""

from __future__ import annotations

import json
import math
import operator
import re
import tomllib
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import Kind, Rule

VECTORS = Path(__file__).parents[2] / "vectors"
SIGNALS, RULES, ANSWERS = (
    json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8")) for name in ("signals", "rules", "answers")
)
NUMBER, TEXT, TRUTH = "number", "text", "truth"


class Refused(Exception):
    """No rule of the language."""


class Fails(Exception):
    """The rule as a whole."""


class Part(NamedTuple):
    kind: str
    run: Callable[[dict[str, Any]], Any]
    levels: int = 1
    parts: int = 1


NAME = Part("", lambda _: None)  # of a function: a part, too


def whole(kind: str, run: Callable[[dict[str, Any]], Any], *inner: Part) -> Part:
    return Part(kind, run, 1 + max(one.levels for one in inner), 1 + sum(one.parts for one in inner))


def required(sound: bool) -> None:
    if not sound:
        raise Refused


def undefined(x: float, y: float) -> bool:
    if y == 0:
        raise Fails
    return math.isinf(x) or math.isnan(x) or math.isnan(y)


def divided(x: float, y: float) -> float:
    undefined(x, y)
    return x / y


def rounded(exact: int | Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def floored(x: float, y: float) -> float:
    if undefined(x, y):
        return math.nan
    if math.isinf(y):
        return -1.0 if x * y < 0 else 0.0
    return rounded(math.floor(Fraction(x) / Fraction(y)))


def left_over(x: float, y: float) -> float:
    if undefined(x, y):
        return math.nan
    if math.isinf(y):
        return y if x * y < 0 else x
    return rounded(Fraction(x) - Fraction(y) * math.floor(Fraction(x) / Fraction(y)))


def least(values: list[float], better: Callable[[float, float], bool] = operator.lt) -> float:
    first, *others = values
    for other in others:
        first = other if better(other, first) else first
    return first


def length(text: str | None) -> float:
    if text is None:
        raise Fails
    return float(len(text))


SUMS: dict[str, Any] = {"+": operator.add, "-": operator.sub}
PRODUCTS: dict[str, Any] = {"*": operator.mul, "/": divided, "//": floored, "%": left_over}
EQUAL: dict[str, Any] = {"==": operator.eq, "!=": operator.ne}
ORDER: dict[str, Any] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
ITEM = re.compile(
    r" *(?:(?P<number>(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<text>'[^'\\]*'|\"[^\"\\]*\")|(?P<word>[A-Za-z_]\w*)(?!['\"])|(?P<sign>//|[=!<>]=|[-+*/%<>()\[\],]))",
    re.ASCII,
)


class Reader:
    """Reads a rule level by level, the loosest first."""

    def __init__(self, source: str, signals: dict[str, str], yields: str) -> None:
        required(len(source) <= 500 and source.isprintable())
        self.signals = signals
        self.items: list[tuple[str, str]] = []
        place = 0
        while source[place:].strip():
            match = ITEM.match(source, place)
            required(match is not None)
            assert match is not None
            self.items.append((str(match.lastgroup), match[str(match.lastgroup)]))
            place = match.end()
        self.rule = self.either()
        required(not self.items and self.rule.kind == yields and self.rule.levels <= 20 and self.rule.parts <= 150)

    def next(self, *texts: str) -> str | None:
        """Takes the next item if it is one of these, else nothing."""
        found = self.items and self.items[0][0] in ("word", "sign") and self.items[0][1] in texts
        return self.items.pop(0)[1] if found else None

    def expect(self, *texts: str) -> None:
        """Takes these items, one after the other."""
        for text in texts:
            required(self.next(text) is not None)

    def joined(self, word: str, inner: Callable[[], Part], decide: Callable[[Any], bool]) -> Part:
        parts = [inner()]
        while self.next(word):
            parts.append(inner())
        if len(parts) == 1:
            return parts[0]
        required(all(one.kind == TRUTH for one in parts))
        return whole(TRUTH, lambda signals: decide(one.run(signals) for one in parts), *parts)

    def either(self) -> Part:
        return self.joined("or", self.both, any)

    def both(self) -> Part:
        return self.joined("and", self.negation, all)

    def negation(self) -> Part:
        if not self.next("not"):
            return self.comparison()
        inner = self.negation()
        required(inner.kind == TRUTH)
        return whole(TRUTH, lambda signals: not inner.run(signals), inner)

    def comparison(self) -> Part:
        first = self.sum()
        negated = self.next("not")
        if negated or self.items[:1] == [("word", "in")]:
            self.expect("in")
            return self.member(first, bool(negated))
        steps = []
        while sign := self.next(*EQUAL, *ORDER):
            steps.append((sign, self.sum()))
            required(steps[-1][1].kind == first.kind and (sign in EQUAL or first.kind == NUMBER))

        def run(signals: dict[str, Any]) -> bool:
            left = first.run(signals)
            for sign, part in steps:
                right = part.run(signals)
                if not (EQUAL | ORDER)[sign](left, right):
                    return False
                left = right
            return True

        return whole(TRUTH, run, first, *(part for _, part in steps)) if steps else first

    def member(self, first: Part, negated: bool) -> Part:
        opening = self.next("[", "(")
        required(opening is not None)
        closing = "]" if opening == "[" else ")"
        values: list[Any] = []
        comma = None
        while not self.next(closing):
            sign = self.next("+", "-")
            kind, text = self.items.pop(0)
            value = self.constant(kind, text)
            required(value.kind == first.kind and (value.kind == NUMBER or not sign))
            values.append(-value.run({}) if sign == "-" else value.run({}))
            comma = self.next(",")
            required(comma is not None or self.items[:1] == [("sign", closing)])
        required(bool(values) and (closing == "]" or len(values) > 1 or comma is not None))
        return whole(TRUTH, lambda signals: (first.run(signals) in values) is not negated, first)

    def constant(self, kind: str, text: str) -> Part:
        if kind == "number":
            required(float(text) <= 1e15)
            return Part(NUMBER, lambda _: float(text))
        if kind == "text":
            return Part(TEXT, lambda _: text[1:-1])
        required(text in ("True", "False"))
        return Part(TRUTH, lambda _: text == "True")

    def arithmetic(self, signs: dict[str, Any], inner: Callable[[], Part]) -> Part:
        left = inner()
        while sign := self.next(*signs):
            right = inner()
            required(left.kind == right.kind == NUMBER)
            left = whole(NUMBER, lambda s, do=signs[sign], a=left, b=right: do(a.run(s), b.run(s)), left, right)  # type: ignore[misc]
        return left

    def sum(self) -> Part:
        return self.arithmetic(SUMS, self.product)

    def product(self) -> Part:
        return self.arithmetic(PRODUCTS, self.signed)

    def signed(self) -> Part:
        sign = self.next("+", "-")
        if not sign:
            return self.single()
        inner = self.signed()
        required(inner.kind == NUMBER)
        return whole(NUMBER, lambda signals: -inner.run(signals) if sign == "-" else inner.run(signals), inner)

    def single(self) -> Part:
        if self.next("("):
            inner = self.either()
            self.expect(")")
            return inner
        required(bool(self.items))
        kind, text = self.items.pop(0)
        if kind == "word" and text in ("abs", "len", "min", "max"):
            return self.call(text)
        if kind == "word" and text in self.signals:
            return Part(self.signals[text], lambda signals: signals[text])
        return self.constant(kind, text)

    def call(self, name: str) -> Part:
        self.expect("(")
        if name in ("abs", "len"):
            inner = self.either()
            required(inner.kind == (NUMBER if name == "abs" else TEXT))
            self.expect(")")
            do = abs if name == "abs" else length
            return whole(NUMBER, lambda signals: do(inner.run(signals)), inner, NAME)
        self.expect("[")
        listed = [self.either()]
        while self.next(",") and self.items[:1] != [("sign", "]")]:
            listed.append(self.either())
        required(all(one.kind == NUMBER for one in listed))
        self.expect("]", ")")
        better = operator.lt if name == "min" else operator.gt
        values = whole(NUMBER, lambda signals: least([one.run(signals) for one in listed], better), *listed)
        return whole(NUMBER, values.run, values, NAME)


def holds(source: str, signals: dict[str, Any], kinds: dict[str, str]) -> bool:
    try:
        return Reader(source, kinds, TRUTH).rule.run(signals) is True
    except Fails:
        return False


def number(source: str, signals: dict[str, Any], kinds: dict[str, str]) -> float | None:
    try:
        found: float = Reader(source, kinds, NUMBER).rule.run(signals)
    except Fails:
        return None
    return None if math.isnan(found) else found


def told(value: Any) -> Any:
    """A number as a double, whatever JSON calls it."""
    return float(value) if isinstance(value, int) or value in ("infinity", "-infinity") else value


def given(case: dict[str, Any]) -> dict[str, Any]:
    return {name: told(value) for name, value in case["signals"].items()}


def signal(stated: dict[str, Any], today: str, events: list[Any]) -> Any:
    (function, source), (_, days) = stated.items()
    name, _, field = source.partition(".")
    ages = [date.fromisoformat(today).toordinal() - date.fromisoformat(day).toordinal() for day, _, _ in events]
    window = [
        (age, one[2]) for age, one in zip(ages, events, strict=True) if one[1] == name and age >= 0 and age < days
    ]
    if function == "count":
        return float(len(window))
    if function == "days_since":
        return float(min((age for age, _ in window), default=math.inf))
    values = [fields[field] for _, fields in window if field in fields]
    if function == "sum":
        return float(sum(Fraction(value) for value in values if not isinstance(value, str)))
    texts = [value if isinstance(value, str) else f"{value or 0:.15g}" for value in values]
    if function == "distinct":
        return float(len(set(texts)))
    return max(
        texts, key=lambda text: (texts.count(text), max(n for n, one in enumerate(texts) if one == text)), default=None
    )


def answer(question: dict[str, Any], survey: dict[str, Any], signals: dict[str, Any]) -> int:
    kinds = {name: TEXT if "top" in stated else NUMBER for name, stated in survey["signals"].items()}
    if "segments" in question:
        rules = [one["when"] for one in question["segments"] if "when" in one]
        return next((index for index, rule in enumerate(rules) if holds(rule, signals, kinds)), len(rules))
    if "one_of" in question:
        chosen = [*question["categories"], signals[question["one_of"]]]
        return chosen.index(chosen[-1])
    if "number" in question:
        found = number(question["number"], signals, kinds)
        below = [edge for edge in question["edges"] if found is not None and edge <= found]
        return len(below) - 1 if below else len(question["edges"])
    index = 0
    for crossed in question["cross"]:
        part = next(one for one in survey["questions"] if one["id"] == crossed)
        index = index * len(ANSWERS["segments"][crossed]) + answer(part, survey, signals)
    return index


@pytest.mark.parametrize("case", SIGNALS["cases"], ids=lambda case: "-".join(map(str, case["signal"].values())))
def test_signal(case: dict[str, Any]) -> None:
    assert signal(case["signal"], case["today"], case["events"]) == told(case["value"])


@pytest.mark.parametrize("case", RULES["conditions"], ids=lambda case: case["rule"])
def test_condition(case: dict[str, Any]) -> None:
    assert holds(case["rule"], given(case), RULES["signals"]) is case["holds"]


@pytest.mark.parametrize("case", RULES["numbers"], ids=lambda case: case["rule"])
def test_number(case: dict[str, Any]) -> None:
    assert number(case["rule"], given(case), RULES["signals"]) == told(case["number"])


@pytest.mark.parametrize("case", RULES["invalid"], ids=lambda case: case["rule"][:40])
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises((Refused, IndexError)):
        Reader(case["rule"], RULES["signals"], case["yields"])


def test_both_clients_agree_on_rules_strung_together_from_those_of_the_vectors() -> None:
    """Thousands of them, on any signals of the vectors: what holds, what is a number, and what is refused."""
    source = Random(1848)
    truths, numbers = ([case["rule"] for case in RULES[key]] for key in ("conditions", "numbers"))
    signals = [given(case) for key in ("conditions", "numbers") for case in RULES[key]]
    kinds = {name: Kind.TEXT if kind == TEXT else Kind.NUMBER for name, kind in RULES["signals"].items()}
    agreed = 0
    for _ in range(5000):
        number_ = f"({source.choice(numbers)}) {source.choice([*SUMS, *PRODUCTS])} ({source.choice(numbers)})"
        compared = f"{number_} {source.choice([*EQUAL, *ORDER])} {source.choice(numbers)}"
        rule = f"{source.choice(['', 'not '])}({source.choice(truths)}) {source.choice(['and', 'or'])} {compared}"
        known = dict.fromkeys(RULES["signals"]) | {"x": 1.0, "y": 0.5} | source.choice(signals)
        for text in (number_, rule):
            yields = NUMBER if text is number_ else TRUTH
            try:
                theirs = Rule.parse(text, kinds, Kind.NUMBER if yields == NUMBER else Kind.TRUTH)
            except RuleError:
                with pytest.raises(Refused):
                    Reader(text, RULES["signals"], yields)
                continue
            if yields == NUMBER:
                assert number(text, known, RULES["signals"]) == theirs.number(known), (text, known)
            else:
                assert holds(text, known, RULES["signals"]) is theirs.holds(known), (text, known)
            agreed += 1
    assert agreed > 9000


@pytest.mark.parametrize("case", ANSWERS["cases"], ids=lambda case: str(len(case["events"])))
def test_answer(case: dict[str, Any]) -> None:
    survey = tomllib.loads(ANSWERS["toml"])
    signals = {name: signal(stated, case["today"], case["events"]) for name, stated in survey["signals"].items()}
    assert signals == given(case)
    assert {one["id"]: answer(one, survey, signals) for one in survey["questions"]} == case["answers"]
