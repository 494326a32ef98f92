"""Cases for rules: signals, and the results that follow. Written by hand, not computed by the shipped code."""

from __future__ import annotations

from typing import Any

from odd_values import COMPOSED, DECOMPOSED, INFINITY, NOTE

NUMBER, TEXT, TRUTH = "number", "text", "truth"  # the types of signals and rules

# the types of the signals in all rules below; a string is null without an event
KINDS = {"x": NUMBER, "y": NUMBER, "t": TEXT, "u": TEXT}

# a condition, signals, and whether the condition holds
CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("True", {}, True),
    ("False", {}, False),
    ("x == 1", {"x": 1}, True),
    ("x == 1.0", {"x": 1}, True),
    ("x != 1", {"x": 1}, False),
    ("1_000 == 1000 and .5 == 0.5 and 3. == 3 and 1e3 == 1E3 and 1e-7 < 1", {}, True),
    # chains: every pair must hold, and the first that does not ends the evaluation
    ("2 <= x <= 4", {"x": 2}, True),
    ("2 <= x <= 4", {"x": 4}, True),
    ("2 <= x <= 4", {"x": 5}, False),
    ("2 <= x <= 4", {"x": 1}, False),
    ("5 > x > 1 < y", {"x": 2, "y": 3}, True),
    ("0 == x != 1", {"x": 0}, True),
    ("x == 0 == y", {"x": 0, "y": 1}, False),
    ("not 1 < 0 < 1 / x", {"x": 0}, True),
    # precedence
    ("x == 1 or y == 1 and x == 2", {"x": 1, "y": 0}, True),
    ("not x == 1 and y == 1", {"x": 0, "y": 0}, False),
    ("not x == 1", {"x": 0}, True),
    ("-x == 0 - x", {"x": 2}, True),
    ("(x == 1) == (y == 2)", {"x": 0, "y": 0}, True),
    ("(x == 1) != True", {"x": 0}, True),
    # a failure makes the whole rule fail, and a failed condition does not hold
    ("x / y > 1", {"x": 1, "y": 0}, False),
    ("not x / y > 1", {"x": 1, "y": 0}, False),
    ("x / y != 1", {"x": 0, "y": 0}, False),
    ("x // y == 0", {"x": 0, "y": 0}, False),
    ("x % y == 0", {"x": 0, "y": 0}, False),
    ("x / y > 1 or x == 1", {"x": 1, "y": 0}, False),
    ("x == 1 or x / y > 1", {"x": 1, "y": 0}, True),
    ("not (y != 0 and x / y > 1)", {"x": 1, "y": 0}, True),
    ("x / y > 1", {"x": INFINITY, "y": 0}, False),
    # infinity and NaN
    ("x < 30", {"x": INFINITY}, False),
    ("x >= 366", {"x": INFINITY}, True),
    ("x == y", {"x": INFINITY, "y": INFINITY}, True),
    ("x == x + 1", {"x": INFINITY}, True),
    ("x - x < 1 or x - x >= 1 or x - x == x - x", {"x": INFINITY}, False),
    ("x - x != x - x", {"x": INFINITY}, True),
    ("x - x in [0, 1]", {"x": INFINITY}, False),
    ("x - x not in [0, 1]", {"x": INFINITY}, True),
    # doubles
    ("x + y == 0.3", {"x": 0.1, "y": 0.2}, False),
    ("x * 3 == 0.3", {"x": 0.1}, False),
    ("x / 3 * 3 == x", {"x": 1}, True),
    ("0 == -0.0", {}, True),
    # lists
    ("x in [1, 2.5, -3]", {"x": 2.5}, True),
    ("x in (1, 2, -3,)", {"x": -3}, True),
    ("x not in [1]", {"x": 1}, False),
    ("not x in [1]", {"x": 2}, True),
    ("(x == 1) in [True]", {"x": 1}, True),
    ("t in ['books', 'music']", {"t": "music"}, True),
    ("t in ['books', 'music']", {"t": None}, False),
    ("t not in ['books', 'music']", {"t": None}, True),
    # strings
    ("t == 'books'", {"t": "books"}, True),
    ("t == 'books'", {"t": "Books"}, False),
    ('t == "it\'s"', {"t": "it's"}, True),
    (f"t == '{COMPOSED}'", {"t": COMPOSED}, True),
    (f"t == '{COMPOSED}'", {"t": DECOMPOSED}, False),
    (f"t == '{NOTE}'", {"t": NOTE}, True),
    ("t == 'books'", {"t": None}, False),
    ("t != 'books'", {"t": None}, True),
    ("t == ''", {"t": None}, False),
    ("t == u", {"t": None, "u": None}, True),
    ("t == u", {"t": "a", "u": "a"}, True),
    ("len(t) > 0", {"t": None}, False),
    ("len(t) == 0", {"t": None}, False),
    # strings: code points, without normalization, and three quotes in another kind of quotes
    (f"len(t) == 5 and t == '{DECOMPOSED}'", {"t": DECOMPOSED}, True),
    ("t in ['\u212b']", {"t": "\u00c5"}, False),
    ("t == '\ufb01'", {"t": "fi"}, False),
    ('t == \'"""\'', {"t": '"""'}, True),
    ("t == '(['", {"t": "(["}, True),
    ("t in ['constructor']", {"t": "toString"}, False),
    ("t == '__proto__'", {"t": "__proto__"}, True),
    ("t not in ['a'] and t != 'a'", {"t": None}, True),
    # infinity
    ("x > y", {"x": INFINITY, "y": INFINITY}, False),
    ("x >= y", {"x": INFINITY, "y": INFINITY}, True),
    ("-x < y", {"x": INFINITY, "y": -(10**12)}, True),
    ("x in [1, 2]", {"x": INFINITY}, False),
    ("x not in [1, 2]", {"x": INFINITY}, True),
    ("x - x == 0 or True", {"x": INFINITY}, True),
    ("x * 0 < 1", {"x": INFINITY}, False),
    ("not x * 0 < 1", {"x": INFINITY}, True),
    # doubles, where exact integers differ
    ("x + 1 == x", {"x": 9007199254740992}, True),
    ("99_999_999 * 99_999_999 == x", {"x": 9999999800000000}, True),
    # brackets, commas and spaces
    ("((x)) in [1,]", {"x": 1}, True),
    ("  x   not   in(1,2)  ", {"x": 3}, True),
    ("not(x==1)and(y==1)", {"x": 0, "y": 1}, True),
    ("t=='a'or x==1", {"t": "b", "x": 1}, True),
    ("(((((((((((((((((((( x ))))))))))))))))))))==1", {"x": 1}, True),
    ("0 < x < 10 and not x == y == 5", {"x": 5, "y": 5}, False),
    ("True == (x == 1) == True", {"x": 1}, True),
    ("(t == 'a') == (u == 'a')", {"t": None, "u": "b"}, True),
]

# a rule, signals, and its number; None if it has no number
NUMBERS: list[tuple[str, dict[str, Any], Any]] = [
    ("5", {}, 5),
    ("x", {"x": 0.1}, 0.1),
    ("x", {"x": INFINITY}, INFINITY),
    ("-x", {"x": INFINITY}, "-infinity"),
    ("1_000 + .5 + 3. + 1e3", {}, 2003.5),
    ("2 + 3 * 4", {}, 14),
    ("x - y - 1", {"x": 5, "y": 2}, 2),
    ("12 / 2 / 3", {}, 2),
    ("7 // 2 * 2", {}, 6),
    ("1 - -x", {"x": 2}, 3),
    ("0.1 + 0.2", {}, 0.30000000000000004),
    ("x / y", {"x": 1, "y": 3}, 1 / 3),
    ("x / y", {"x": 1, "y": 0}, None),
    ("x / y", {"x": 0.0, "y": 0.0}, None),
    ("x / y", {"x": INFINITY, "y": 0}, None),
    ("1 / x", {"x": INFINITY}, 0),
    ("x - x", {"x": INFINITY}, None),
    ("x * 0", {"x": INFINITY}, None),
    # // is the floor of the exact quotient; % is the remainder and has the sign of the divisor
    ("7 // 2", {}, 3),
    ("x // 2", {"x": -7}, -4),
    ("-x // 2", {"x": 7}, -4),
    ("-(x // 2)", {"x": 7}, -3),
    ("x // y", {"x": 7, "y": -2}, -4),
    ("x // 2", {"x": 7.5}, 3),
    ("1 // 0.1", {}, 9),
    ("x // y", {"x": 1, "y": 0}, None),
    ("x // 7", {"x": INFINITY}, None),
    ("5 // x", {"x": INFINITY}, 0),
    ("-5 // x", {"x": INFINITY}, -1),
    ("x % 3", {"x": 7}, 1),
    ("x % 3", {"x": -7}, 2),
    ("-x % 3", {"x": 7}, 2),
    ("x % y", {"x": 7, "y": -3}, -2),
    ("x % 2", {"x": -7.5}, 0.5),
    ("1 % 0.1", {}, 0.09999999999999995),
    ("x % 1", {"x": -1e-20}, 1),
    ("x % y", {"x": 1, "y": 0}, None),
    ("x % 7", {"x": INFINITY}, None),
    ("5 % x", {"x": INFINITY}, 5),
    ("-5 % x", {"x": INFINITY}, INFINITY),
    # calls
    ("abs(x)", {"x": -2.5}, 2.5),
    ("min([x, 3, y])", {"x": 4, "y": 2}, 2),
    ("max([x, 3, y])", {"x": 4, "y": 2}, 4),
    ("max([x])", {"x": 1}, 1),
    ("max([x, 3])", {"x": INFINITY}, INFINITY),
    ("max([x / y, 3])", {"x": 1, "y": 0}, None),
    ("min([1, x - x])", {"x": INFINITY}, 1),
    ("min([x - x, 1])", {"x": INFINITY}, None),
    ("max([1, x - x, 2])", {"x": INFINITY}, 2),
    ("len(t)", {"t": ""}, 0),
    ("len(t)", {"t": COMPOSED}, 3),
    ("len(t)", {"t": DECOMPOSED}, 5),
    ("len(t)", {"t": NOTE}, 1),
    ("len('books') + 1", {}, 6),
    ("len(t)", {"t": None}, None),
    # beyond 2^51 a quotient that is rounded before the floor is off by one
    ("x // y", {"x": 4504162746383774, "y": 1.004303865400722}, 4484860510405973),
    ("x // 3", {"x": 9007199254740991}, 3002399751580330),
    ("x // 0.1", {"x": 10**12}, 9999999999999),
    ("x // -0.1", {"x": 10**12}, -(10**13)),
    ("x // y", {"x": 10**12, "y": 1e-300}, INFINITY),
    ("-x // y", {"x": 10**12, "y": 1e-300}, "-infinity"),
    ("x // y", {"x": 1e-300, "y": -(10**12)}, -1),
    ("0 // -x", {"x": INFINITY}, 0),
    ("-x // x", {"x": INFINITY}, None),
    ("5 // -x", {"x": INFINITY}, -1),
    ("5 % -x", {"x": INFINITY}, "-infinity"),
    ("x % 0.1", {"x": 10**12}, 0.09994448884876875),
    ("x % y", {"x": 1e-300, "y": -(10**12)}, -(10**12)),
    ("x % 3", {"x": 9007199254740991}, 1),
    ("x % y", {"x": 5.5, "y": 5.5}, 0),
    ("x / y", {"x": 10**12, "y": 1e-300}, INFINITY),
    ("x * y", {"x": 1e200, "y": 1e200}, INFINITY),
    ("x * y", {"x": 1e-200, "y": 1e-200}, 0),
    ("x * 3 - x - x - x", {"x": 0.1}, 2.7755575615628914e-17),
    ("1e15 + 0.0625", {}, 1000000000000000),
    ("1000000000000000.05 - 1e15", {}, 0),
    ("max([-x, -5])", {"x": INFINITY}, -5),
    ("min([x, y])", {"x": INFINITY, "y": INFINITY}, INFINITY),
    ("min([x / y])", {"x": 1, "y": 0}, None),
    ("abs(-x)", {"x": INFINITY}, INFINITY),
    ("- - x", {"x": 2}, 2),
    ("2 * -x + 1", {"x": 2}, -3),
    ("7 // 2 % 2 * 3", {}, 3),
    ("7 % 4 // 2", {}, 1),
    ("max([1, 2,])", {}, 2),
    ("abs((x))", {"x": -1}, 1),
    ("max([(x)])", {"x": 1}, 1),
    ('len(\'"""\')', {}, 3),
    (f"len('{'(' * 30}')", {}, 30),
]

# invalid rules, and the type that each should have
INVALID: list[tuple[str, str]] = [
    *((source, TRUTH) for source in ("", "x ==", "x = 1", "x == 1; y == 1", "x == 1 # one", "x == 1\n", "x <> 1")),
    *((source, TRUTH) for source in ("x", "t", "1", "x + y", "'books'")),
    *((source, NUMBER) for source in ("x == 1", "True", "t", "'5'")),
    *((source, TRUTH) for source in ("z == 1", "X == 1", "abs == 1", "x == None", "t == b'a'", "true")),
    *(
        (source, TRUTH)
        for source in ("x == 0x10", "x == 1j", "x == 007", "x == 1e16", "x == 1_", "x == 1e1_0", "x == 00.5")
    ),
    *((source, TRUTH) for source in ("x == 't'", "x == t", "t < 'a'", "'a' <= t <= 'b'", "(x == 1) == 1")),
    *((source, TRUTH) for source in ("(x == 1) < (y == 1)", "x is 1", "x and y", "not x", "x == 1 or t")),
    *((source, TRUTH) for source in ("x in 3", "x in [y]", "x in []", "x in {1, 2}", "x in [[1]]", "x in ['a']")),
    *(
        (source, TRUTH)
        for source in ("t in ['a', 1]", "t in 'abc'", "x in (1)", "0 < x in [1]", "x in [1] == True", "x in [--1]")
    ),
    *((source, NUMBER) for source in ("x ** 2", "x << 1", "x | y", "x @ y", "~x", "-t", "t + 'a'", "'a' * 3", "t % 1")),
    *(
        (source, NUMBER)
        for source in ("abs(t)", "abs(x, y)", "abs()", "max(x, y)", "min((x, y))", "min([])", "max([t])")
    ),
    *((source, NUMBER) for source in ("len(x)", "len([x])", "sum([x])", "round(x)", "x()", "max([x], key=abs)")),
    *(
        (source, NUMBER)
        for source in ("x.real", "t[0]", "[x]", "(x, y)", "x if y == 1 else 2", "lambda: x", "(y := x)")
    ),
    *((source, TRUTH) for source in ("t == 'a\\n'", "t == '''a'''", "t == f'{x}'", "é == 1", "t == ‘a’")),
    *((source, TRUTH) for source in ("t in ['a' 'b']", "t == u'a'", "t == r'a'")),
    ("x" + " " * 500, NUMBER),
    ("-" * 20 + "x", NUMBER),
    (f"max([{','.join('x' * 148)}])", NUMBER),
    # brackets and commas that Python accepts
    *((source, NUMBER) for source in ("abs(x,)", "abs((x),)", "len(t,)", "max([x],)", "min([x,],)")),
    *((source, NUMBER) for source in ("(abs)(x)", "(max)([x])", "max(([x]))", "min( ( [x] ) )", "max([x,,])")),
    *((source, TRUTH) for source in ("x in ([1])", "x in ((1, 2))", "x in ((1,))", "x in [(1)]", "x in [-(1)]")),
    *((source, TRUTH) for source in ("x in (1, (2))", "x in [1] ,", "x in 1, 2", "x == 1,", "x in [1, 2", "x in [1)")),
    ("(" * 21 + "x" + ")" * 21, NUMBER),
    ("(" * 60 + "x" + ")" * 60, NUMBER),
    # numbers
    *((f"x == {number}", TRUTH) for number in ("1__0", "0_1", "1_0_", "1.0_0", "_1", "1._5", "0b1", "0o7", "0_0")),
    *((f"x == {number}", TRUTH) for number in ("1e", "1e+", "1.2.3", "..5", ".", "1L", "1f", "0x", "infinity", "nan")),
    *((f"x == {number}", TRUTH) for number in ("1000000000000001", "1e309", "1000000000000000.1", "9" * 400)),
    # names and other characters
    ("x == 1٣", TRUTH),
    ("x == .٣", TRUTH),
    *((source, TRUTH) for source in ("ｘ == 1", "x == ٣", "x\u00a0== 1", "x\u2003== 1", "x == 1\t", "x == 1\ufeff")),
    *((source, TRUTH) for source in ("constructor == 1", "toString == 1", "__proto__ == 1", "None == x", "True == x")),
    *((source, TRUTH) for source in ("x == 1 and", "and x == 1", "x == 1 x == 1", "x 1", "not", "x not 1", "x ! = 1")),
    *(
        (source, TRUTH)
        for source in ("x == not x == 1", "x === 1", "x !== 1", "x => 1", "x && y", "!(x == 1)", "x ? 1")
    ),
    *((source, TRUTH) for source in ("x == 1or x == 2", "x == 1 and'a' == t", "t == 'a", "t == \"a'", "t == `a`")),
    *((source, TRUTH) for source in ('t == """\'"""', "t == 'a' \"b\"", "t == ''''", "t in ['a', 'b' 'c']")),
    *((source, TRUTH) for source in ("x in [True]", "(x == 1) in [1]", "(x == 1) in [-True]", "t in [-'a']")),
    *(
        (source, NUMBER)
        for source in ("x y", "x +", "+", "()", "(x", "x)", "[x", "abs x", "abs(", "x // // y", "x / / y")
    ),
    *((source, NUMBER) for source in ("x; y", "x ^ y", "x++", "max([x] + [y])", "len([1])", "len(t)(x)", "1 if x")),
]
