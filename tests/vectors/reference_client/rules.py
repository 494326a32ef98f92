"""Rules: a parser with one method per row of the grammar, and the evaluation of what it reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from reference_client.arithmetic import EQUALITY, EXTREMES, ORDER, PRODUCTS, SUMS, RuleFailed, extreme, length
from reference_client.tokens import InvalidRule, Token, require, tokens

NUMBER, STRING, BOOLEAN = "number", "text", "truth"  # the types, as rules.json names them
MAX_NUMBER, MAX_PARTS, MAX_LEVELS = 1e15, 150, 20

Signals = dict[str, Any]


class Part(NamedTuple):
    """A part of a rule: its type, its evaluation, and the parts and levels that it has in all."""

    type: str
    evaluate: Callable[[Signals], Any]
    parts: int = 1
    levels: int = 1


FUNCTION_NAME = Part("", lambda _: None)


def compose(type: str, evaluate: Callable[[Signals], Any], *inner: Part) -> Part:
    return Part(type, evaluate, 1 + sum(part.parts for part in inner), 1 + max(part.levels for part in inner))


def holds(source: str, signals: Signals, types: dict[str, str]) -> bool:
    """Whether a condition holds. types: the type of every signal."""
    condition = Parser(source, types).read(BOOLEAN)
    try:
        return condition.evaluate(signals) is True
    except RuleFailed:
        return False


def number(source: str, signals: Signals, types: dict[str, str]) -> float | None:
    """The number of a rule, or None if it has none. types: the type of every signal."""
    rule = Parser(source, types).read(NUMBER)
    try:
        result: float = rule.evaluate(signals)
    except RuleFailed:
        return None
    return None if math.isnan(result) else result


class Parser:
    """Reads a rule by recursive descent."""

    def __init__(self, source: str, types: dict[str, str]) -> None:
        self.tokens = tokens(source)
        self.types = types

    def read(self, type: str) -> Part:
        rule = self.disjunction()
        require(not self.tokens and rule.type == type and rule.parts <= MAX_PARTS and rule.levels <= MAX_LEVELS)
        return rule

    def disjunction(self) -> Part:
        return self.joined("or", self.conjunction, any)

    def conjunction(self) -> Part:
        return self.joined("and", self.negation, all)

    def joined(self, word: str, operand: Callable[[], Part], combine: Callable[[Iterable[Any]], bool]) -> Part:
        operands = [operand()]
        while self.accept(word):
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        require(all(part.type == BOOLEAN for part in operands))
        return compose(BOOLEAN, lambda signals: combine(part.evaluate(signals) for part in operands), *operands)

    def negation(self) -> Part:
        if not self.accept("not"):
            return self.comparison()
        operand = self.negation()
        require(operand.type == BOOLEAN)
        return compose(BOOLEAN, lambda signals: not operand.evaluate(signals), operand)

    def comparison(self) -> Part:
        first = self.sum()
        negated = self.accept("not") is not None
        if self.accept("in"):
            return self.membership(first, negated)
        require(not negated)
        chain = []
        while sign := self.accept(*EQUALITY, *ORDER):
            operand = self.sum()
            require(operand.type == first.type and (sign in EQUALITY or first.type == NUMBER))
            chain.append(((EQUALITY | ORDER)[sign], operand))

        def evaluate(signals: Signals) -> bool:
            left = first.evaluate(signals)
            for compare, operand in chain:
                right = operand.evaluate(signals)
                if not compare(left, right):
                    return False
                left = right
            return True

        return compose(BOOLEAN, evaluate, first, *(operand for _, operand in chain)) if chain else first

    def membership(self, first: Part, negated: bool) -> Part:
        opening = self.accept("[", "(")
        require(opening is not None)
        closing = "]" if opening == "[" else ")"
        constants: list[Part] = []
        comma = None
        while not self.accept(closing):
            require(not constants or comma is not None)
            constants.append(self.signed_constant())
            require(constants[-1].type == first.type)
            comma = self.accept(",")
        require(bool(constants) and (closing == "]" or len(constants) > 1 or comma is not None))
        values = [constant.evaluate({}) for constant in constants]
        listed = compose("", lambda _: None, *constants)
        return compose(BOOLEAN, lambda signals: (first.evaluate(signals) in values) is not negated, first, listed)

    def signed_constant(self) -> Part:
        sign = self.accept("+", "-")
        constant = self.constant(self.take())
        return self.with_sign(sign, constant) if sign else constant

    def sum(self) -> Part:
        return self.arithmetic(SUMS, self.product)

    def product(self) -> Part:
        return self.arithmetic(PRODUCTS, self.signed)

    def arithmetic(self, operators: dict[str, Any], operand: Callable[[], Part]) -> Part:
        left = operand()
        while sign := self.accept(*operators):
            left = self.binary(operators[sign], left, operand())
        return left

    @staticmethod
    def binary(compute: Callable[[float, float], float], left: Part, right: Part) -> Part:
        require(left.type == right.type == NUMBER)
        return compose(NUMBER, lambda signals: compute(left.evaluate(signals), right.evaluate(signals)), left, right)

    def signed(self) -> Part:
        sign = self.accept("+", "-")
        return self.with_sign(sign, self.signed()) if sign else self.operand()

    @staticmethod
    def with_sign(sign: str, operand: Part) -> Part:
        require(operand.type == NUMBER)
        factor = -1 if sign == "-" else 1
        return compose(NUMBER, lambda signals: factor * operand.evaluate(signals), operand)

    def operand(self) -> Part:
        if self.accept("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        token = self.take()
        if token.kind == "word" and token.text in ("abs", "len", *EXTREMES):
            return self.call(token.text)
        if token.kind == "word" and token.text in self.types:
            return Part(self.types[token.text], lambda signals: signals[token.text])
        return self.constant(token)

    @staticmethod
    def constant(token: Token) -> Part:
        if token.kind == "number":
            value = float(token.text)
            require(value <= MAX_NUMBER)
            return Part(NUMBER, lambda _: value)
        if token.kind == "string":
            return Part(STRING, lambda _: token.text[1:-1])
        require(token.text in ("True", "False"))
        return Part(BOOLEAN, lambda _: token.text == "True")

    def call(self, name: str) -> Part:
        self.expect("(")
        if name in EXTREMES:
            return self.extreme(name)
        argument = self.disjunction()
        self.expect(")")
        require(argument.type == (NUMBER if name == "abs" else STRING))
        compute = abs if name == "abs" else length
        return compose(NUMBER, lambda signals: compute(argument.evaluate(signals)), FUNCTION_NAME, argument)

    def extreme(self, name: str) -> Part:
        self.expect("[")
        elements = [self.disjunction()]
        while self.accept(",") and self.tokens[:1] != [Token("sign", "]")]:
            elements.append(self.disjunction())
        self.expect("]")
        self.expect(")")
        require(all(element.type == NUMBER for element in elements))
        listed = compose("", lambda signals: [element.evaluate(signals) for element in elements], *elements)
        better = EXTREMES[name]
        return compose(NUMBER, lambda signals: extreme(listed.evaluate(signals), better), FUNCTION_NAME, listed)

    def take(self) -> Token:
        if not self.tokens:
            raise InvalidRule
        return self.tokens.pop(0)

    def accept(self, *texts: str) -> str | None:
        """Take the next token if it is one of these words or signs."""
        if self.tokens and self.tokens[0].kind in ("word", "sign") and self.tokens[0].text in texts:
            return self.tokens.pop(0).text
        return None

    def expect(self, text: str) -> None:
        require(self.accept(text) is not None)
