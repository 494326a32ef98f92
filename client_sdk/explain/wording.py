"""Rules and numbers in words, for those who do not read programs."""

from __future__ import annotations

import ast

_WORDS: dict[type[ast.cmpop], str] = {
    ast.Eq: "is",
    ast.NotEq: "is not",
    ast.Lt: "under",
    ast.LtE: "up to",
    ast.Gt: "over",
    ast.GtE: "from",
    ast.In: "one of",
    ast.NotIn: "none of",
}
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


def counted(number: int, noun: str) -> str:
    """So many of something, like "1 report" or "2,000 reports"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_words(source: str) -> str:
    """The expression of a rule with words in the place of signs, like `orders from 2 to 4 and idle_days under 30`."""
    return _words(ast.parse(source.strip(), mode="eval").body)


def _words(node: ast.expr) -> str:
    match node:
        case ast.BoolOp(op=op):
            joined = " and " if isinstance(op, ast.And) else " or "
            return joined.join(
                f"({_words(one)})" if isinstance(one, ast.BoolOp) else _words(one) for one in node.values
            )
        case ast.UnaryOp(op=ast.Not()):
            return f"not ({_words(node.operand)})"
        case ast.Compare(left=low, ops=[ast.LtE(), ast.LtE()], comparators=[middle, high]):
            return f"{_words(middle)} from {_words(low)} to {_words(high)}"
        case ast.Compare():
            operands = [node.left, *node.comparators]
            return " and ".join(map(_comparison, operands, node.ops, operands[1:]))
        case ast.List() | ast.Tuple():
            return ", ".join(map(_words, node.elts))
    return ast.unparse(node)


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
    sign = type(op)
    if not isinstance(left, ast.Name) and isinstance(right, ast.Name):
        left, sign, right = right, _MIRRORED.get(sign, sign), left
    return f"{_words(left)} {_WORDS[sign]} {_words(right)}"
