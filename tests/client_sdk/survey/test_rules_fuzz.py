"""Random rules: those of the grammar evaluate as in Python, and all others are refused."""

import math
import random
import warnings
from contextlib import suppress

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import MAX_PARTS, Kind, Rule, _Checker

NUMBER, TEXT, TRUTH = Kind.NUMBER, Kind.STRING, Kind.BOOLEAN
SIGNALS = {"x": NUMBER, "y": NUMBER, "orders_90d": NUMBER, "t": TEXT, "favourite": TEXT}
VALUES = {"x": 3, "y": 0.5, "orders_90d": 0, "t": "books", "favourite": None}


class Grammar:
    """Draws random expressions of the language."""

    def __init__(self, source: random.Random) -> None:
        self.source = source

    def number(self, depth: int) -> str:
        pick = self.source.randrange(3 if depth == 0 else 10)
        if pick == 0:
            return self.source.choice(["x", "y", "orders_90d"])
        if pick < 3:
            return self.source.choice(["0", "1", "2", "7", "0.5", "1e-3", "3."])
        if pick == 3:
            return f"{self.source.choice('+-')}({self.number(depth - 1)})"
        if pick == 4:
            return f"abs({self.number(depth - 1)})"
        if pick == 5:
            return f"len({self.text()})"
        if pick == 6:
            listed = ", ".join(self.number(depth - 1) for _ in range(self.source.randint(1, 3)))
            return f"{self.source.choice(['min', 'max'])}([{listed}])"
        operator = self.source.choice(["+", "-", "*", "/", "//", "%"])
        return f"({self.number(depth - 1)} {operator} {self.number(depth - 1)})"

    def text(self) -> str:
        return self.source.choice(["t", "favourite", "'books'", '"a\'b"', "''"])

    def truth(self, depth: int) -> str:
        pick = self.source.randrange(4 if depth == 0 else 7)
        if pick == 0:
            return f"{self.text()} {self.source.choice(['==', '!='])} {self.text()}"
        if pick == 1:
            return f"{self.text()} {self.source.choice(['in', 'not in'])} ['books', 'b']"
        if pick == 2:
            return f"{self.number(depth and depth - 1)} {self.source.choice(['in', 'not in'])} (0, 1, -2.5)"
        if pick == 3:
            parts = [self.number(depth and depth - 1)]
            for _ in range(self.source.randint(1, 3)):
                operator = self.source.choice(["<", "<=", ">", ">=", "==", "!="])
                parts += [operator, self.number(depth and depth - 1)]
            return " ".join(parts)
        if pick == 4:
            return f"not ({self.truth(depth - 1)})"
        joined = self.source.choice([" and ", " or ", " == "])
        return "(" + joined.join(f"({self.truth(depth - 1)})" for _ in range(2)) + ")"


NUMBERS = [0, 1, -1, 2, 7, 0.5, -0.0, 1e12, 1e-5, math.inf, -math.inf, math.nan]
TEXTS = [None, "", "books", "b"]
ANYTHING = [*NUMBERS, 1e300, 1e-300, 10**400, *TEXTS, True, [], [1], {}, b"a", (1, "a"), object(), 1j, len]


def by_python(source, signals):
    """The value of the expression in Python, or None if it fails.

    Python agrees with the language as long as every integer is below 2^53 and every quotient below 2^51.
    """
    names = {"__builtins__": {}, "abs": abs, "len": len, "min": min, "max": max, **signals}
    try:
        return eval(source, names)
    except (ArithmeticError, TypeError, ValueError):
        return None


def test_random_expressions_evaluate_as_in_python_and_never_raise():
    """Thousands of expressions. All expressions within the limits are accepted, and agree with Python's eval."""
    source = random.Random(1865)
    grammar = Grammar(source)
    compared = 0
    beyond = set()
    for _ in range(4000):
        kind = source.choice([NUMBER, TRUTH])
        text = grammar.number(4) if kind is NUMBER else grammar.truth(4)
        try:
            rule = Rule.parse(text, SIGNALS, kind)
        except RuleError as error:
            beyond.add(str(error).split(" 1")[0])
            continue
        for _ in range(2):
            signals = {name: source.choice(NUMBERS if one is NUMBER else TEXTS) for name, one in SIGNALS.items()}
            expected = by_python(text, signals)
            if kind is TRUTH:
                assert rule.holds(signals) is (expected is True), (text, signals)
            else:
                try:
                    expected = None if expected is None or math.isnan(expected) else float(expected)
                except OverflowError:
                    expected = None
                assert rule.number(signals) == expected, (text, signals)
            compared += 1
    assert compared > 5000
    assert {message[:15] for message in beyond} <= {"must be at most", "is nested more ", "has more than"}


def test_the_checker_visits_every_part_once(monkeypatch):
    """The number of steps is at most the number of parts, even for large or deeply nested rules."""
    steps = 0
    kind = _Checker.kind

    def counted(checker, node):
        nonlocal steps
        steps += 1
        return kind(checker, node)

    monkeypatch.setattr(_Checker, "kind", counted)
    grammar = Grammar(random.Random(1789))
    most = 0
    for _ in range(2000):
        steps = 0
        with suppress(RuleError):
            Rule.parse(grammar.truth(6), SIGNALS, TRUTH)
        most = max(most, steps)
    assert MAX_PARTS / 2 < most <= MAX_PARTS


def test_evaluation_never_raises_for_any_signals():
    """With values of any type, or missing signals, a condition is true or false, and a number is None or a float."""
    source = random.Random(1966)
    grammar = Grammar(source)
    for _ in range(3000):
        kind = source.choice([NUMBER, TRUTH])
        rule = Rule.parse(grammar.number(2) if kind is NUMBER else grammar.truth(2), SIGNALS, kind)
        signals = {name: source.choice(ANYTHING) for name in SIGNALS if source.random() < 0.9}
        if kind is TRUTH:
            assert rule.holds(signals) in (True, False)
        else:
            number = rule.number(signals)
            assert number is None or (isinstance(number, float) and not math.isnan(number))


PLAIN = ["x", "t", "orders_90d", "'a'", "(", ")", "(", ")", "[", "]", "[", "]", ",", "*", "/", "+", "-", "<", "<=",
         "==", "!=", "in", "not", "and", "or", "True", "1", "0.5", "1e9", "abs", "max", "len", " "]  # fmt: skip
ODD = ['"', "'", "{", "}", ":", ":=", ".", "**", "//", "%", "@", "~", "=", "is", "if", "else", "lambda", "for",
       "await", "yield", "async", "None", "0x", "0b1", "1_", "1.", ".5", "1j", "f'", "b'", "$", "?", "`", "!", ";",
       "..."]  # fmt: skip
STRANGE = ["#", "\\", "\n", "\t", "\0", "ｘ", "é", "\u202e", "\ud800", "'''"]


def test_random_tokens_are_refused_without_a_warning_or_a_crash():
    """The only exception is RuleError, and the interpreter issues no warning."""
    source = random.Random(2026)
    messages = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(10_000):
            words = source.choice([PLAIN, PLAIN, PLAIN + ODD, PLAIN + ODD, PLAIN + ODD + STRANGE])
            text = source.choice(["", " "]).join(source.choices(words, k=source.choice([3, 6, 12, 60])))
            try:
                rule = Rule.parse(text, SIGNALS, TRUTH)
            except RuleError as error:
                messages.add(str(error))
            else:
                assert rule.holds(VALUES) in (True, False)
    assert caught == []
    assert len(messages) > 50
    assert all(message.isprintable() and len(message) < 300 for message in messages)
