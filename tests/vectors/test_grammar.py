"""The grammar of rules: the second client's own parser and the shipped reader accept the same strings.

The second parser follows the EBNF of README.md, one method for each of its rules. The shipped reader uses Python's
parser. Both get thousands of strings: published rules, combined and changed at random, and random tokens.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from published import load, signal_values
from reference_client import rules
from reference_client.arithmetic import EQUALITY, ORDER, PRODUCTS, SUMS
from reference_client.tokens import InvalidRule

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import Kind, Rule

RULES = load("rules")
TYPES: dict[str, str] = RULES["signals"]
KINDS = {rules.NUMBER: Kind.NUMBER, rules.STRING: Kind.STRING, rules.BOOLEAN: Kind.BOOLEAN}
SIGNALS = {name: KINDS[type] for name, type in TYPES.items()}
VALUES = [dict.fromkeys(TYPES) | {"x": 1.0, "y": 0.5}]
VALUES += [VALUES[0] | signal_values(case) for key in ("conditions", "numbers") for case in RULES[key]]
CONDITIONS, NUMBERS = ([case["rule"] for case in RULES[key]] for key in ("conditions", "numbers"))
REFUSED = [case["rule"] for case in RULES["invalid"]]


def agreed(text: str, type: str, signals: dict[str, Any]) -> bool:
    """Whether both clients accept the rule. Then they evaluate it equally. Fails if only one accepts it."""
    rule = shipped(text, type)
    assert (rule is not None) is is_read(text, type), f"only one client accepts {text!r}"
    if rule is not None and type == rules.NUMBER:
        assert rules.number(text, signals, TYPES) == rule.number(signals), (text, signals)
    if rule is not None and type == rules.BOOLEAN:
        assert rules.holds(text, signals, TYPES) is rule.holds(signals), (text, signals)
    return rule is not None


def shipped(text: str, type: str) -> Rule | None:
    try:
        return Rule.parse(text, SIGNALS, KINDS[type])
    except RuleError:
        return None


def is_read(text: str, type: str) -> bool:
    """Whether the second client accepts the rule."""
    try:
        rules.Parser(text, TYPES).read(type)
    except InvalidRule:
        return False
    return True


def compose(source: Random) -> list[tuple[str, str]]:
    """A number and a condition, composed at random from published rules."""
    number = f"({source.choice(NUMBERS)}) {source.choice([*SUMS, *PRODUCTS])} ({source.choice(NUMBERS)})"
    comparison = f"{number} {source.choice([*EQUALITY, *ORDER])} {source.choice(NUMBERS)}"
    word = source.choice(["and", "or"])
    condition = f"{source.choice(['', 'not '])}({source.choice(CONDITIONS)}) {word} {comparison}"
    return [(number, rules.NUMBER), (condition, rules.BOOLEAN)]


def test_both_clients_agree_on_rules_that_are_composed_of_published_rules() -> None:
    source = Random(1848)
    accepted = sum(agreed(text, type, source.choice(VALUES)) for _ in range(1500) for text, type in compose(source))
    assert accepted > 2500


PIECES = [
    *(
        "x",
        "y",
        "t",
        "u",
        "z",
        "X",
        "xy",
        "_",
        "__proto__",
        "abs",
        "len",
        "min",
        "max",
        "sum",
        "and",
        "or",
        "not",
        "in",
    ),
    *("is", "if", "else", "lambda", "for", "None", "True", "False", "true", "await", "yield", "match", "not in"),
    *("0", "1", "12", "1_000", "1__0", "0x10", "1e6", "1E-6", "1e", ".5", "3.", "007", "1_", "1j", "1e16", "1.5.2"),
    *("'a'", '"b"', "''", "'''", "'", '"', "'é'", "f'{x}'", "r'a'", "b'a'", "'a' 'b'", "'\\n'", '\'"""\'', "'#'"),
    *("(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "...", "@", "~", "^", "|", "&", "!", "?", "$", "#", "\\", "`"),
    *("+", "-", "*", "/", "//", "%", "**", "<<", ">>", "<", ">", "<=", ">=", "==", "!=", "<>", "=", ":=", "->", "*x"),
    *(" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\ufeff", "ｘ", "ﬁ", "٣", "é", "²", "\u2028", "\U0001d7d9", "\ud83c"),
]


def change(text: str, source: Random) -> str:
    """The rule with one to three changes: pieces put in, characters left out, doubled, swapped, or put in brackets."""
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.choice([0, 0, 1, 1, 2, 5]))
        piece = text[start:end]
        new = source.choice(PIECES)
        forms = [new, f" {new} ", "", piece * 2, piece[::-1], f"({piece})", f"[{piece}]", f"{piece},", f"-{piece}"]
        text = text[:start] + source.choice(forms) + text[end:]
    return text


def changed(source: Random) -> tuple[str, str, dict[str, Any]]:
    """A published rule with changes, its type, and signals."""
    published = [(CONDITIONS, rules.BOOLEAN), (NUMBERS, rules.NUMBER), (REFUSED, source.choice(list(KINDS)))]
    texts, type = source.choice(published)
    return change(source.choice(texts), source), type, source.choice(VALUES)


def test_both_clients_agree_on_changed_rules() -> None:
    """Most changes make a rule invalid. Many do not, such as spaces and brackets."""
    source = Random(1889)
    outcomes = Counter(agreed(*changed(source)) for _ in range(12_000))
    assert outcomes[True] > 1000
    assert outcomes[False] > 5000


@pytest.mark.slow
def test_both_clients_agree_on_many_more_changed_rules() -> None:
    source = Random(1919)
    assert sum(agreed(*changed(source)) for _ in range(250_000)) > 30_000


def test_both_clients_agree_on_random_tokens() -> None:
    source = Random(1917)
    plain = [
        "x",
        "t",
        "1",
        "'a'",
        "(",
        ")",
        "[",
        "]",
        ",",
        "+",
        "-",
        "<",
        "==",
        "in",
        "not",
        "and",
        "abs",
        "max",
        "len",
    ]
    accepted = 0
    for _ in range(15_000):
        words = source.choice([plain, plain, [*plain, *PIECES]])
        text = source.choice(["", " "]).join(source.choices(words, k=source.choice([1, 2, 3, 4, 5, 7])))
        accepted += agreed(text, source.choice(list(KINDS)), source.choice(VALUES))
    assert accepted > 100


def test_both_clients_agree_on_the_arithmetic_of_doubles() -> None:
    """Every operator, for numbers of all sizes, infinities, and quotients around and beyond 2^53."""
    source = Random(754)
    special = [0.0, -0.0, 1.0, 0.1, 5e-324, 1e-300, 1e12, 1e300, 2.0**51, 2.0**53, float("inf"), float("-inf")]

    def draw() -> float:
        if source.random() < 0.2:
            return source.choice(special)
        return source.choice([-1, 1]) * source.random() * 2.0 ** source.choice([0, 1, 10, 30, 40, 51, 52, 53, 60, -40])

    for _ in range(1500):
        signals = VALUES[0] | {"x": draw(), "y": draw()}
        for sign in (*SUMS, *PRODUCTS):
            assert agreed(f"x {sign} y", rules.NUMBER, signals)


@pytest.mark.parametrize(
    "text",
    [
        f"x in [{','.join(['1'] * 147)}]",  # 150 parts: the comparison, x, the list and 147 constants
        f"x in [{','.join(['1'] * 148)}]",
        f"x in [{','.join(['-1'] * 73)}, 1]",  # a sign is a part
        f"x in [{','.join(['-1'] * 74)}]",
        f"max([{','.join('x' * 147)}]) == 1",
        f"max([{','.join('x' * 145)}]) == 1",
        f"{'-' * 18}x == 1",
        f"{'-' * 19}x == 1",
        f"{'+x' * 17}".lstrip("+") + " == 1",
        f"{'+x' * 20}".lstrip("+") + " == 1",
        f"{'(' * 20}x{')' * 20} == 1",
        f"{'(' * 21}x{')' * 21} == 1",
        f"{'(' * 249}x{')' * 249}",
        f"x == 1 and {'not ' * 17}x == 1",
        f"x == 1 and {'not ' * 18}x == 1",
        "x == 1\t",
        "x == 1 ",
    ],
)
def test_both_clients_agree_on_limits(text: str) -> None:
    agreed(text, rules.BOOLEAN, VALUES[0])
