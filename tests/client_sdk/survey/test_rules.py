import ast
import math
import re

import pytest

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import MAX_DEPTH, MAX_LENGTH, MAX_PARTS, RESERVED, Kind, Rule

NUMBER, STRING, BOOLEAN = Kind.NUMBER, Kind.STRING, Kind.BOOLEAN
SIGNALS = {"x": NUMBER, "y": NUMBER, "orders_90d": NUMBER, "t": STRING, "favourite": STRING}
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
        ('t != \'"""\'', True),
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
def test_a_rule_has_the_same_value_as_in_python(source, value):
    """Every form of the language is accepted, and evaluates as in Python, including short circuits."""
    kind = BOOLEAN if isinstance(value, bool) else NUMBER
    rule = Rule.parse(source, SIGNALS, kind)
    assert rule.source == source
    if kind is BOOLEAN:
        assert rule.holds(VALUES) is value
    else:
        assert rule.number(VALUES) == value


@pytest.mark.parametrize(
    "source", ["1 / orders_90d", "x % orders_90d", "len(favourite)", "x // orders_90d", "0 * (1e15 / y) / orders_90d"]
)
def test_a_failed_number_is_none_and_a_failed_condition_is_false(source):
    """A failure on a device raises nothing."""
    assert Rule.parse(source, SIGNALS, NUMBER).number(VALUES) is None
    assert Rule.parse(f"{source} >= 0", SIGNALS, BOOLEAN).holds(VALUES) is False
    assert Rule.parse(f"not {source} >= 0", SIGNALS, BOOLEAN).holds(VALUES) is False


@pytest.mark.parametrize(
    ("source", "signals", "value"),
    [
        ("x // y", {"x": 4504162746383774, "y": 1.004303865400722}, 4484860510405973),
        ("x // y", {"x": 1e12, "y": 1e-300}, math.inf),
        ("x // y", {"x": -1e12, "y": 1e-300}, -math.inf),
        ("1e15 * 9 + 7_199_254_740_992 + x", {"x": 1}, 9007199254740992),
        ("x + y", {"x": 2**53, "y": 1}, 2**53),
        ("99_999_999 * 99_999_999", {}, 9999999800000000),
        ("len(t) * 99_999_999 * 99_999_999 - x", {"t": "a", "x": 9999999800000000}, 0),
    ],
)
def test_every_number_is_a_double(source, signals, value):
    """Integers beyond 2^53 are rounded like other numbers, and `//` is rounded once."""
    assert Rule.parse(source, SIGNALS, NUMBER).number(signals) == value


def test_infinity_is_a_number_and_nan_is_not():
    """days_since may be infinite: infinity can be compared and belongs to the last span. NaN is not a number."""
    signals = {"x": math.inf}
    assert Rule.parse("x", SIGNALS, NUMBER).number(signals) == math.inf
    assert Rule.parse("x < 30", SIGNALS, BOOLEAN).holds(signals) is False
    assert Rule.parse("x >= 30", SIGNALS, BOOLEAN).holds(signals) is True
    for source in ("x - x", "x % 7", "0 * x", "x // 1"):
        assert Rule.parse(source, SIGNALS, NUMBER).number(signals) is None


ORDER = "must compare only numbers with <, <=, > and >=, but"
KNOWN = "known: favourite, orders_90d, t, x, y"
REFUSED = [
    ("x", BOOLEAN, "must be true or false, but is a number"),
    ("t", BOOLEAN, "must be true or false, but is a string"),
    ("t", NUMBER, "must be a number, but is a string"),
    ("x == 1", NUMBER, "must be a number, but is true or false"),
    ("x" * 501, BOOLEAN, "must have at most 500 characters, got 501"),
    (" " * 1200 + "x", NUMBER, "must have at most 500 characters, got 1,201"),
    ("x == 1\x00", BOOLEAN, "must be one line of printable characters"),
    ("(x\n== 1)", BOOLEAN, "must be one line of printable characters"),
    ("x\t== 1", BOOLEAN, "must be one line of printable characters"),
    ("t == '\u202eskoob'", BOOLEAN, "must be one line of printable characters"),
    ("t == '\ud800'", BOOLEAN, "must be one line of printable characters"),
    ("x\u00a0== 1", BOOLEAN, "must be one line of printable characters"),
    ("t == '\\x41'", BOOLEAN, "must not contain a backslash"),
    ("ｘ == 1", BOOLEAN, "must be ASCII outside quotes, got 'ｘ'"),
    ("ｌｅｎ(t) == 1", BOOLEAN, "must be ASCII outside quotes, got 'ｌ'"),
    ("'a' == t and х == 1", BOOLEAN, "must be ASCII outside quotes, got 'х'"),
    ("x == ٣", BOOLEAN, "must be ASCII outside quotes, got '٣'"),
    ("x == 1 # or more", BOOLEAN, "must not contain a comment"),
    ("x == 1or x == 2", BOOLEAN, "must have numbers like 12, 0.5 or 1e6, got '1or'"),
    ("x == 0x10", BOOLEAN, "must have numbers like 12, 0.5 or 1e6, got '0x10'"),
    ("x == 1j", BOOLEAN, "must have numbers like 12, 0.5 or 1e6, got '1j'"),
    ("x == .5if", BOOLEAN, "must have numbers like 12, 0.5 or 1e6, got '.5if'"),
    *(
        (f"x == {number}", BOOLEAN, f"must have numbers like 12, 0.5 or 1e6, got {number!r}")
        for number in ("007", "00", "03.5", "1_", "1__0", "2.1_1", "1e", "1e+", "1e-1_3", "1.2.3", "1e5.5")
    ),
    ("-" * MAX_DEPTH + "x", NUMBER, "must be nested at most 20 levels deep"),
    ("-" * 499 + "x", NUMBER, "must be nested at most 20 levels deep"),
    (f"({'-' * 400}x).real", NUMBER, "must be nested at most 20 levels deep"),
    (f"1 in {'-' * 450}x", BOOLEAN, "must be nested at most 20 levels deep"),
    (f"x @ {'-' * 450}x", NUMBER, "must be nested at most 20 levels deep"),
    ("x" + ".a" * 240, NUMBER, "must be nested at most 20 levels deep"),
    ("lambda:" * 70 + "x", NUMBER, "must be nested at most 20 levels deep"),
    *(
        (source, NUMBER, "must have brackets nested at most 20 deep")
        for source in ("(" * 21 + "x" + ")" * 21, "x[" * 90 + "x" + "]" * 90, "(" * 250 + "x" + ")" * 249, "(" * 200)
    ),
    ("x" + "+x" * 200, NUMBER, "must be nested at most 20 levels deep"),
    (f"max([{','.join('x' * MAX_PARTS)}])", NUMBER, "must have at most 150 parts, got 153"),
    ("x" + "<x" * MAX_PARTS, BOOLEAN, "must have at most 150 parts, got 152"),
    ("order_90d == 0", BOOLEAN, "unknown signal 'order_90d'; did you mean 'orders_90d'?"),
    ("zzz == 0", BOOLEAN, f"unknown signal 'zzz'; {KNOWN}"),
    ("open == 0", BOOLEAN, f"unknown signal 'open'; {KNOWN}"),
    ("__builtins__ == 0", BOOLEAN, f"unknown signal '__builtins__'; {KNOWN}"),
    ("abs == 0", BOOLEAN, f"unknown signal 'abs'; {KNOWN}"),
    ("x == None", BOOLEAN, "must not contain the constant None"),
    *(
        (source, BOOLEAN, "must not have a letter or digit directly before a quoted string")
        for source in ("t == u'books'", "t == r'books'", "t == b'books'", "f'{x}' == t", "x == 1 and'a' == t")
    ),
    *(
        (source, BOOLEAN, "must not have two strings in a row; put a comma or an operator between them")
        for source in (
            "t in ['books' 'music']",
            "t == '''books'''",
            't == """books"""',
            "t == ''''",
            "t == 'a''b'",
            "t == 'a' \"it's\"",
        )
    ),
    ("x == ...", BOOLEAN, "must not contain the constant Ellipsis"),
    ("x < 1e16", BOOLEAN, "must have numbers within ±1e+15"),
    ("x < 1e999", BOOLEAN, "must have numbers within ±1e+15"),
    ("x < " + "9" * 490, BOOLEAN, "must have numbers within ±1e+15"),
    ("not x", BOOLEAN, "'not' needs true or false, but 'x' is a number"),
    ("-t", NUMBER, "a sign needs a number, but 't' is a string"),
    ("+(x == 1)", NUMBER, "a sign needs a number, but 'x == 1' is true or false"),
    ("~x", NUMBER, "must not contain '~x' (UnaryOp)"),
    ("x and y", BOOLEAN, "'and' needs true or false, but 'x' is a number"),
    ("x == 1 or t", BOOLEAN, "'or' needs true or false, but 't' is a string"),
    ("t + 'a'", NUMBER, "arithmetic needs a number, but 't' is a string"),
    ("t % 1", NUMBER, "arithmetic needs a number, but 't' is a string"),
    ("'a' * 10**9", NUMBER, "arithmetic needs a number, but \"'a'\" is a string"),
    ("10**9 * 'a'", NUMBER, "must not contain a power (**)"),
    ("[0] * 1000", NUMBER, "must not contain a list, except after 'in' and in min and max"),
    ("9**9**9", NUMBER, "must not contain a power (**)"),
    ("x ** 0.5", NUMBER, "must not contain a power (**)"),
    ("1 << 1000000", NUMBER, "must not contain the operator in '1 << 1000000'"),
    ("x @ y", NUMBER, "must not contain the operator in 'x @ y'"),
    ("x | y", NUMBER, "must not contain the operator in 'x | y'"),
    ("x is 1", BOOLEAN, "must not contain 'is'; use == or !="),
    ("x is not y", BOOLEAN, "must not contain 'is'; use == or !="),
    ("x in 3", BOOLEAN, "'in' needs a list of constants, got '3'"),
    ("t in 'books'", BOOLEAN, "'in' needs a list of constants, got \"'books'\""),
    ("x in []", BOOLEAN, "'in' needs a list of constants, got '[]'"),
    ("x in [y]", BOOLEAN, "'in' needs a list of constants, got '[y]'"),
    ("x in [-y]", BOOLEAN, "'in' needs a list of constants, got '[-y]'"),
    ("x in {1, 2}", BOOLEAN, "'in' needs a list of constants, got '{1, 2}'"),
    ("x in [[1]]", BOOLEAN, "'in' needs a list of constants, got '[[1]]'"),
    ("x in ['a']", BOOLEAN, "the list after this 'in' needs a number, but \"'a'\" is a string"),
    ("t in ['a', 1]", BOOLEAN, "the list after this 'in' needs a string, but '1' is a number"),
    ("t in [-'a']", BOOLEAN, "a sign needs a number, but \"'a'\" is a string"),
    *(
        (source, BOOLEAN, "'in' needs a list without other brackets, like x in [1, -2]")
        for source in (
            "x in ([1])",
            "x in ((1, 2))",
            "x in ( (1,))",
            "x in [(1)]",
            "x in [1, (-2)]",
            "x in [-(1)]",
            "x in [1, (2),]",
            "t in [('a')]",
        )
    ),
    *(
        (source, NUMBER, f"must not have a comma after the argument of a function, got {call!r}")
        for source, call in (
            ("abs(x,)", "abs(x)"),
            ("abs((x) , )", "abs(x)"),
            ("len(t,)", "len(t)"),
            ("max([x],)", "max([x])"),
            ("min([x,],)", "min([x])"),
            ("len('é',)", "len('é')"),
        )
    ),
    *(
        (source, NUMBER, f"must not have brackets around the name of a function, got {call!r}")
        for source, call in (("(abs)(x)", "abs(x)"), ("( max )([x])", "max([x])"), ("1 + (len)('é')", "len('é')"))
    ),
    *(
        (source, NUMBER, f"must not have brackets around the list of a function, got {call!r}")
        for source, call in (("max(([x]))", "max([x])"), ("min( ( [x, y] ) )", "min([x, y])"))
    ),
    ("0 < x in [1]", BOOLEAN, "'in' must not be part of a chain of comparisons; combine them with 'and'"),
    ("x in [1] == True", BOOLEAN, "'in' must not be part of a chain of comparisons; combine them with 'and'"),
    ("x == t", BOOLEAN, "must compare values of one type: 'x' is a number, 't' is a string"),
    ("x == 'a'", BOOLEAN, "must compare values of one type: 'x' is a number, \"'a'\" is a string"),
    ("(x == 1) == 1", BOOLEAN, "must compare values of one type: 'x == 1' is true or false, '1' is a number"),
    ("t < 'a'", BOOLEAN, f"{ORDER} 't' is a string; use == or !="),
    ("'a' <= t <= 'b'", BOOLEAN, f"{ORDER} \"'a'\" is a string; use == or !="),
    ("abs()", NUMBER, "abs needs one argument, got 0"),
    ("max(x, y)", NUMBER, "max needs one argument, got 2"),
    ("max(x)", NUMBER, "max needs a list in brackets, like max([a, b])"),
    ("min([])", NUMBER, "min needs a list in brackets, like min([a, b])"),
    ("min((x, y))", NUMBER, "min needs a list in brackets, like min([a, b])"),
    ("max([t])", NUMBER, "max needs a number, but 't' is a string"),
    ("max([*x])", NUMBER, "must not contain '*x' (Starred)"),
    ("len(x)", NUMBER, "len needs a string, but 'x' is a number"),
    ("len([x])", NUMBER, "must not contain a list, except after 'in' and in min and max"),
    ("abs(t)", NUMBER, "abs needs a number, but 't' is a string"),
    ("abs(*x)", NUMBER, "must not contain '*x' (Starred)"),
    (
        "max([x], key=abs)",
        NUMBER,
        "must not contain the call 'max([x], key=abs)'; only abs, len, min, max can be called",
    ),
    ("sum([x])", NUMBER, "must not contain the call 'sum([x])'; only abs, len, min, max can be called"),
    ("x()", NUMBER, "must not contain the call 'x()'; only abs, len, min, max can be called"),
    ("abs(x)()", NUMBER, "must not contain the call 'abs(x)()'; only abs, len, min, max can be called"),
    (
        "__import__('os').system('true') == 0",
        BOOLEAN,
        "must not contain the call \"__import__('os').system('true')\"; only abs, len, min, max can be called",
    ),
    ("t.upper", STRING, "must not contain an attribute ('t.upper')"),
    ("x.real.real == 1", BOOLEAN, "must not contain an attribute ('x.real.real')"),
    ("t[0]", STRING, "must not contain an index ('t[0]')"),
    ("t[::-1]", STRING, "must not contain an index ('t[::-1]')"),
    ("(x, y)", NUMBER, "must not contain a list, except after 'in' and in min and max"),
    ("[x for x in y]", NUMBER, "must not contain a comprehension"),
    ("{x for x in y}", NUMBER, "must not contain a comprehension"),
    ("{x: 1 for x in y}", NUMBER, "must not contain a comprehension"),
    ("max(x for x in y)", NUMBER, "max needs a list in brackets, like max([a, b])"),
    ("(x for x in y)", NUMBER, "must not contain a comprehension"),
    ("lambda: x", NUMBER, "must not contain a lambda"),
    ("x if y == 1 else 2", NUMBER, "must not contain 'if' and 'else'; give each case its own segment"),
    ("(y := x) == 1", BOOLEAN, "must not contain '(y := x)' (NamedExpr)"),
    ("{}", NUMBER, "must not contain '{}' (Dict)"),
    ("{1}", NUMBER, "must not contain '{1}' (Set)"),
    ("await x", NUMBER, "must not contain 'await x' (Await)"),
    ("(yield)", NUMBER, "must not contain '(yield)' (Yield)"),
]


@pytest.mark.parametrize(("source", "kind", "message"), REFUSED)
def test_an_invalid_rule_is_refused_before_evaluation(source, kind, message):
    """Everything costly or unusual is refused with a one-line message."""
    with pytest.raises(RuleError) as caught:
        Rule.parse(source, SIGNALS, kind)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "source",
    ["", " ", "x ==", "x == 1; y", "import os", "(x", "'books", "x y",
     "class", "x <> 1",
     "x in", "*x", "**x", "x if y", "print 1", "t == 'it's'", "$", "?", "x:=1", "del x"],
)  # fmt: skip
def test_a_syntax_error_is_refused_with_the_message_of_the_parser(source):
    with pytest.raises(RuleError, match=r"^is not a valid expression: .+"):
        Rule.parse(source, SIGNALS, BOOLEAN)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        *((source, "use == to compare, not =") for source in ("x = 0", "x=0", "x == 1 and y = 2", "t = '=='")),
        ("x == 1 && y == 2", "use 'and' instead of &&"),
        ("x == 1 || t == '&&'", "use 'or' instead of ||"),
        ("!(x == 1)", "use 'not' instead of !"),
        ("x != 1 and !(t == '||')", "use 'not' instead of !"),
        ("x == 1 and t != '&&' and", "invalid syntax"),
    ],
)
def test_operators_of_other_languages_are_refused_with_a_suggestion(source, hint):
    """Text in quotes is not an operator, and != is an operator of this language."""
    with pytest.raises(RuleError, match=f"^{re.escape(f'is not a valid expression: {hint}')}$"):
        Rule.parse(source, SIGNALS, BOOLEAN)


@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError])
def test_a_failure_of_the_parser_is_a_rule_error(monkeypatch, error):
    """The parser may run out of stack or memory. The survey is at fault."""

    def parse(*arguments, **options):
        raise error

    monkeypatch.setattr(ast, "parse", parse)
    with pytest.raises(RuleError, match=r"^is not a valid expression$"):
        Rule.parse("x", SIGNALS, NUMBER)


def test_an_unknown_signal_has_no_suggestion_if_none_is_declared():
    with pytest.raises(RuleError, match=r"^unknown signal 'x'$"):
        Rule.parse("x", {}, NUMBER)


def test_the_limits_are_valid():
    """The longest, the deepest and the largest valid rules are accepted and evaluated."""
    assert Rule.parse(f"{'x':<{MAX_LENGTH}}", SIGNALS, NUMBER).number(VALUES) == 3
    assert Rule.parse("-" * (MAX_DEPTH - 1) + "x", SIGNALS, NUMBER).number(VALUES) == -3
    assert Rule.parse(f"max([{','.join('x' * (MAX_PARTS - 3))}])", SIGNALS, NUMBER).number(VALUES) == 3
    assert Rule.parse("(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH, SIGNALS, NUMBER).number(VALUES) == 3
    assert Rule.parse(f"len('{'(' * 99}')", SIGNALS, NUMBER).number(VALUES) == 99


def test_keywords_and_functions_cannot_name_a_signal():
    """Every declared signal can therefore be used in a rule."""
    assert {"and", "in", "lambda", "class", "None", "True", "abs", "max"} <= RESERVED
