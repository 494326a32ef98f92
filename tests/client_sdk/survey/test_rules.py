import ast
import math
import re

import pytest

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import DEEPEST, LONGEST, MOST_NODES, RESERVED, Kind, Rule

NUMBER, TEXT, TRUTH = Kind.NUMBER, Kind.TEXT, Kind.TRUTH
SIGNALS = {"x": NUMBER, "y": NUMBER, "orders_90d": NUMBER, "t": TEXT, "favourite": TEXT}
VALUES = {"x": 3, "y": 0.5, "orders_90d": 0, "t": "books", "favourite": None}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x", 3),
        ("-x + +2", -1),
        ("x / y", 6),
        ("x // 2 * 2 - x % 2", 1),
        ("abs(y - x)", 2.5),
        ("min([x, y, 7]) + max([x])", 3.5),
        ("len(t)", 5),
        ("  x  ", 3),
        ("1e3 + .5 + 1_000 + 2.", 2002.5),
        ("x == 3", True),
        ("2 <= x <= 4", True),
        ("2 <= x < 3", False),
        ("x != 3 or y < 1", True),
        ("not x == 3", False),
        ("x in [1, 2, 3]", True),
        ("x in (-1, +3)", True),
        ("x not in [1, 2]", True),
        ("t in ['books', \"music\"]", True),
        ("t == 'Bücher # 1or'", False),
        ("t != 'books'", False),
        ("True", True),
        ("(x == 3) == True", True),
        ("x == 3 and (y == 1 or t == 'books')", True),
        ("x == 3 or 1 / orders_90d > 2", True),
        ("orders_90d != 0 and 1 / orders_90d > 2", False),
        ("x < 0 < 1 / orders_90d", False),
        ("favourite == 'books'", False),
        ("favourite != 'books'", True),
    ],
)
def test_the_language_means_what_python_means(source, value):
    """Every form of the language is read, and yields what Python yields, short circuits included."""
    kind = TRUTH if isinstance(value, bool) else NUMBER
    rule = Rule.parse(source, SIGNALS, kind)
    assert rule.source == source
    if kind is TRUTH:
        assert rule.holds(VALUES) is value
    else:
        assert rule.number(VALUES) == value


@pytest.mark.parametrize(
    "source", ["1 / orders_90d", "x % orders_90d", "len(favourite)", "x // orders_90d", "0 * (1e15 / y) / orders_90d"]
)
def test_a_number_that_cannot_be_told_is_none_and_its_rule_false(source):
    """What fails on a device raises nothing: a number is None, a condition false."""
    assert Rule.parse(source, SIGNALS, NUMBER).number(VALUES) is None
    assert Rule.parse(f"{source} >= 0", SIGNALS, TRUTH).holds(VALUES) is False
    assert Rule.parse(f"not {source} >= 0", SIGNALS, TRUTH).holds(VALUES) is False


def test_infinity_is_a_number_and_what_is_none_is_not():
    """days_since may be infinite: that compares, and falls into a last span; infinity less infinity is no number."""
    signals = {"x": math.inf}
    assert Rule.parse("x", SIGNALS, NUMBER).number(signals) == math.inf
    assert Rule.parse("x < 30", SIGNALS, TRUTH).holds(signals) is False
    assert Rule.parse("x >= 30", SIGNALS, TRUTH).holds(signals) is True
    for source in ("x - x", "x % 7", "0 * x", "x // 1"):
        assert Rule.parse(source, SIGNALS, NUMBER).number(signals) is None


KNOWN = "known: favourite, orders_90d, t, x, y"
REFUSED = [
    ("x", TRUTH, "must be true or false, is a number"),
    ("t", TRUTH, "must be true or false, is a name"),
    ("t", NUMBER, "must be a number, is a name"),
    ("x == 1", NUMBER, "must be a number, is true or false"),
    ("x" * 501, TRUTH, "must be at most 500 characters long, has 501"),
    (" " * 1200 + "x", NUMBER, "must be at most 500 characters long, has 1,201"),
    ("x == 1\x00", TRUTH, "must be one line of printable characters"),
    ("(x\n== 1)", TRUTH, "must be one line of printable characters"),
    ("x\t== 1", TRUTH, "must be one line of printable characters"),
    ("t == '\u202eskoob'", TRUTH, "must be one line of printable characters"),
    ("t == '\ud800'", TRUTH, "must be one line of printable characters"),
    ("x\u00a0== 1", TRUTH, "must be one line of printable characters"),
    ("t == '\\x41'", TRUTH, "may not hold a backslash"),
    ("t == '''books'''", TRUTH, "may not hold three quotes in a row"),
    ('t == """books"""', TRUTH, "may not hold three quotes in a row"),
    ("ｘ == 1", TRUTH, "may hold letters beyond ASCII in quotes only, not 'ｘ'"),
    ("ｌｅｎ(t) == 1", TRUTH, "may hold letters beyond ASCII in quotes only, not 'ｌ'"),
    ("'a' == t and х == 1", TRUTH, "may hold letters beyond ASCII in quotes only, not 'х'"),
    ("x == ٣", TRUTH, "may hold letters beyond ASCII in quotes only, not '٣'"),
    ("x == 1 # or more", TRUTH, "may not hold a comment"),
    ("x == 1or x == 2", TRUTH, "numbers are written like 12, 0.5 or 1e6, not '1or'"),
    ("x == 0x10", TRUTH, "numbers are written like 12, 0.5 or 1e6, not '0x10'"),
    ("x == 1j", TRUTH, "numbers are written like 12, 0.5 or 1e6, not '1j'"),
    ("x == .5if", TRUTH, "numbers are written like 12, 0.5 or 1e6, not '.5if'"),
    *(
        (f"x == {number}", TRUTH, f"numbers are written like 12, 0.5 or 1e6, not {number!r}")
        for number in ("007", "00", "03.5", "1_", "1__0", "2.1_1", "1e", "1e+", "1e-1_3", "1.2.3", "1e5.5")
    ),
    ("-" * DEEPEST + "x", NUMBER, "is nested more than 20 deep"),
    ("-" * 499 + "x", NUMBER, "is nested more than 20 deep"),
    (f"({'-' * 400}x).real", NUMBER, "is nested more than 20 deep"),
    (f"1 in {'-' * 450}x", TRUTH, "is nested more than 20 deep"),
    (f"x @ {'-' * 450}x", NUMBER, "is nested more than 20 deep"),
    ("x" + ".a" * 240, NUMBER, "is nested more than 20 deep"),
    ("lambda:" * 70 + "x", NUMBER, "is nested more than 20 deep"),
    ("x[" * 90 + "x" + "]" * 90, NUMBER, "is nested more than 20 deep"),
    ("x" + "+x" * 200, NUMBER, "is nested more than 20 deep"),
    (f"max([{','.join('x' * MOST_NODES)}])", NUMBER, "has more than 150 parts"),
    ("x" + "<x" * MOST_NODES, TRUTH, "has more than 150 parts"),
    ("order_90d == 0", TRUTH, "unknown signal 'order_90d'; did you mean 'orders_90d'?"),
    ("zzz == 0", TRUTH, f"unknown signal 'zzz'; {KNOWN}"),
    ("open == 0", TRUTH, f"unknown signal 'open'; {KNOWN}"),
    ("__builtins__ == 0", TRUTH, f"unknown signal '__builtins__'; {KNOWN}"),
    ("abs == 0", TRUTH, f"unknown signal 'abs'; {KNOWN}"),
    ("x == None", TRUTH, "may not hold the constant None"),
    *(
        (source, TRUTH, "may not hold a letter right before a text in quotes")
        for source in ("t == u'books'", "t == r'books'", "t == b'books'", "f'{x}' == t", "x == 1 and'a' == t")
    ),
    *(
        (source, TRUTH, "may not hold two texts in a row: Python would join them")
        for source in ("t in ['books' 'music']", "t == 'a''b'", "t == 'a' \"it's\"")
    ),
    ("x == ...", TRUTH, "may not hold the constant Ellipsis"),
    ("x < 1e16", TRUTH, "may hold numbers within ±1e+15, not one beyond"),
    ("x < 1e999", TRUTH, "may hold numbers within ±1e+15, not one beyond"),
    ("x < " + "9" * 490, TRUTH, "may hold numbers within ±1e+15, not one beyond"),
    ("not x", TRUTH, "not takes true or false, but 'x' is a number"),
    ("-t", NUMBER, "a sign takes a number, but 't' is a name"),
    ("+(x == 1)", NUMBER, "a sign takes a number, but 'x == 1' is true or false"),
    ("~x", NUMBER, "may not hold '~x' (UnaryOp)"),
    ("x and y", TRUTH, "'and' and 'or' takes true or false, but 'x' is a number"),
    ("x == 1 or t", TRUTH, "'and' and 'or' takes true or false, but 't' is a name"),
    ("t + 'a'", NUMBER, "arithmetic takes a number, but 't' is a name"),
    ("t % 1", NUMBER, "arithmetic takes a number, but 't' is a name"),
    ("'a' * 10**9", NUMBER, "arithmetic takes a number, but \"'a'\" is a name"),
    ("10**9 * 'a'", NUMBER, "may not hold a power (**)"),
    ("[0] * 1000", NUMBER, "may not hold a list, except after 'in' and in min and max"),
    ("9**9**9", NUMBER, "may not hold a power (**)"),
    ("x ** 0.5", NUMBER, "may not hold a power (**)"),
    ("1 << 1000000", NUMBER, "may not hold the operator in '1 << 1000000'"),
    ("x @ y", NUMBER, "may not hold the operator in 'x @ y'"),
    ("x | y", NUMBER, "may not hold the operator in 'x | y'"),
    ("x is 1", TRUTH, "may not hold 'is'"),
    ("x is not y", TRUTH, "may not hold 'is'"),
    ("x in 3", TRUTH, "'in' takes a list of constants, not '3'"),
    ("t in 'books'", TRUTH, "'in' takes a list of constants, not \"'books'\""),
    ("x in []", TRUTH, "'in' takes a list of constants, not '[]'"),
    ("x in [y]", TRUTH, "'in' takes a list of constants, not '[y]'"),
    ("x in [-y]", TRUTH, "'in' takes a list of constants, not '[-y]'"),
    ("x in {1, 2}", TRUTH, "'in' takes a list of constants, not '{1, 2}'"),
    ("x in [[1]]", TRUTH, "'in' takes a list of constants, not '[[1]]'"),
    ("x in ['a']", TRUTH, "this 'in' takes a number, but \"'a'\" is a name"),
    ("t in ['a', 1]", TRUTH, "this 'in' takes a name, but '1' is a number"),
    ("t in [-'a']", TRUTH, "a sign takes a number, but \"'a'\" is a name"),
    ("0 < x in [1]", TRUTH, "'in' stands alone: combine it with 'and'"),
    ("x in [1] == True", TRUTH, "'in' stands alone: combine it with 'and'"),
    ("x == t", TRUTH, "compares a number, 'x', with a name, 't'"),
    ("x == 'a'", TRUTH, "compares a number, 'x', with a name, \"'a'\""),
    ("(x == 1) == 1", TRUTH, "compares true or false, 'x == 1', with a number, '1'"),
    ("t < 'a'", TRUTH, "names have no order: 't' can be compared with == and != only"),
    ("'a' <= t <= 'b'", TRUTH, "names have no order: \"'a'\" can be compared with == and != only"),
    ("abs()", NUMBER, "abs takes one argument, got 0"),
    ("max(x, y)", NUMBER, "max takes one argument, got 2"),
    ("max(x)", NUMBER, "max takes a list in brackets, like max([a, b])"),
    ("min([])", NUMBER, "min takes a list in brackets, like min([a, b])"),
    ("min((x, y))", NUMBER, "min takes a list in brackets, like min([a, b])"),
    ("max([t])", NUMBER, "max takes a number, but 't' is a name"),
    ("max([*x])", NUMBER, "may not hold '*x' (Starred)"),
    ("len(x)", NUMBER, "len takes a name, but 'x' is a number"),
    ("len([x])", NUMBER, "may not hold a list, except after 'in' and in min and max"),
    ("abs(t)", NUMBER, "abs takes a number, but 't' is a name"),
    ("abs(*x)", NUMBER, "may not hold '*x' (Starred)"),
    ("max([x], key=abs)", NUMBER, "may not hold the call 'max([x], key=abs)': only abs, len, min, max can be called"),
    ("sum([x])", NUMBER, "may not hold the call 'sum([x])': only abs, len, min, max can be called"),
    ("x()", NUMBER, "may not hold the call 'x()': only abs, len, min, max can be called"),
    ("abs(x)()", NUMBER, "may not hold the call 'abs(x)()': only abs, len, min, max can be called"),
    (
        "__import__('os').system('true') == 0",
        TRUTH,
        "may not hold the call \"__import__('os').system('true')\": only abs, len, min, max can be called",
    ),
    ("t.upper", TEXT, "may not hold an attribute ('t.upper')"),
    ("x.real.real == 1", TRUTH, "may not hold an attribute ('x.real.real')"),
    ("t[0]", TEXT, "may not hold an index ('t[0]')"),
    ("t[::-1]", TEXT, "may not hold an index ('t[::-1]')"),
    ("(x, y)", NUMBER, "may not hold a list, except after 'in' and in min and max"),
    ("[x for x in y]", NUMBER, "may not hold a comprehension"),
    ("{x for x in y}", NUMBER, "may not hold a comprehension"),
    ("{x: 1 for x in y}", NUMBER, "may not hold a comprehension"),
    ("max(x for x in y)", NUMBER, "max takes a list in brackets, like max([a, b])"),
    ("(x for x in y)", NUMBER, "may not hold a comprehension"),
    ("lambda: x", NUMBER, "may not hold a lambda"),
    ("x if y == 1 else 2", NUMBER, "may not hold 'if' and 'else': give each case a segment of its own"),
    ("(y := x) == 1", TRUTH, "may not hold '(y := x)' (NamedExpr)"),
    ("{}", NUMBER, "may not hold '{}' (Dict)"),
    ("{1}", NUMBER, "may not hold '{1}' (Set)"),
    ("await x", NUMBER, "may not hold 'await x' (Await)"),
    ("(yield)", NUMBER, "may not hold '(yield)' (Yield)"),
]


@pytest.mark.parametrize(("source", "kind", "message"), REFUSED)
def test_what_is_outside_the_language_is_refused_when_read(source, kind, message):
    """Everything costly or strange is refused, before anything evaluates it, with one line that says what it is."""
    with pytest.raises(RuleError) as caught:
        Rule.parse(source, SIGNALS, kind)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "source",
    ["", " ", "x ==", "x == 1; y", "import os", "(" * 200, "(" * 250 + "x" + ")" * 249, "'books", "x y",
     "class", "x <> 1",
     "x in", "*x", "**x", "x if y", "print 1", "t == 'it's'", "$", "?", "x:=1", "del x"],
)  # fmt: skip
def test_what_is_no_expression_is_refused_in_pythons_own_words(source):
    """A syntax error is a RuleError with the parser's message, whatever the source."""
    with pytest.raises(RuleError, match=r"^is not an expression: .+"):
        Rule.parse(source, SIGNALS, TRUTH)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        *((source, "one = does not compare, == does") for source in ("x = 0", "x=0", "x == 1 and y = 2", "t = '=='")),
        ("x == 1 && y == 2", "&& is written and"),
        ("x == 1 || t == '&&'", "|| is written or"),
        ("!(x == 1)", "! is written not"),
        ("x != 1 and !(t == '||')", "! is written not"),
        ("x == 1 and t != '&&' and", "invalid syntax"),
    ],
)
def test_signs_of_other_languages_are_told_as_they_are_written_here(source, hint):
    """What stands in quotes is no sign, and != is one of this language."""
    with pytest.raises(RuleError, match=f"^{re.escape(f'is not an expression: {hint}')}$"):
        Rule.parse(source, SIGNALS, TRUTH)


@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError])
def test_a_parser_that_gives_up_is_a_rule_error(monkeypatch, error):
    """Whatever a parser raises for want of stack or memory, the survey is what is wrong."""

    def parse(*arguments, **options):
        raise error

    monkeypatch.setattr(ast, "parse", parse)
    with pytest.raises(RuleError, match=r"^is not an expression that can be read$"):
        Rule.parse("x", SIGNALS, NUMBER)


def test_without_signals_an_unknown_one_is_told_plainly():
    """With nothing declared there is nothing to propose."""
    with pytest.raises(RuleError, match=r"^unknown signal 'x'$"):
        Rule.parse("x", {}, NUMBER)


def test_the_limits_themselves_are_inside():
    """The longest, the deepest and the largest rule that the limits allow are read and evaluated."""
    assert Rule.parse(f"{'x':<{LONGEST}}", SIGNALS, NUMBER).number(VALUES) == 3
    assert Rule.parse("-" * (DEEPEST - 1) + "x", SIGNALS, NUMBER).number(VALUES) == -3
    assert Rule.parse(f"max([{','.join('x' * (MOST_NODES - 3))}])", SIGNALS, NUMBER).number(VALUES) == 3
    assert Rule.parse("(" * 100 + "x" + ")" * 100, SIGNALS, NUMBER).number(VALUES) == 3


def test_no_word_of_the_language_can_name_a_signal():
    """Keywords and functions are reserved, so that every declared signal can be used in a rule."""
    assert {"and", "in", "lambda", "class", "None", "True", "abs", "max"} <= RESERVED
