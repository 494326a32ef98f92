"""Numbers and rules in words."""

from __future__ import annotations

import ast

_WORDS: dict[type[ast.cmpop], str] = {
    ast.Eq: "is",
    ast.NotEq: "is not",
    ast.Lt: "is below",
    ast.LtE: "is at most",
    ast.Gt: "is above",
    ast.GtE: "is at least",
    ast.In: "is one of",
    ast.NotIn: "is not one of",
}
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural, like "1 report" or "2,000 reports"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def describe_rule(source: str) -> str:
    """A rule in words: `2 <= orders <= 4 and idle_days < 30` is "orders is from 2 to 4 and idle_days is below 30"."""
    return _describe(ast.parse(source.strip(), mode="eval").body)


def _describe(node: ast.expr) -> str:
    match node:
        case ast.BoolOp(op=op):
            conjunction = " and " if isinstance(op, ast.And) else " or "
            return conjunction.join(
                f"({_describe(value)})" if isinstance(value, ast.BoolOp) else _describe(value) for value in node.values
            )
        case ast.UnaryOp(op=ast.Not()):
            return f"not ({_describe(node.operand)})"
        case ast.Compare(left=low, ops=[ast.LtE(), ast.LtE()], comparators=[middle, high]):
            return f"{_describe(middle)} is from {_describe(low)} to {_describe(high)}"
        case ast.Compare():
            operands = [node.left, *node.comparators]
            return " and ".join(map(_describe_comparison, operands, node.ops, operands[1:]))
        case ast.List() | ast.Tuple():
            return ", ".join(map(_describe, node.elts))
    return ast.unparse(node)


def _describe_comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
    operator = type(op)
    if not isinstance(left, ast.Name) and isinstance(right, ast.Name):
        left, operator, right = right, _MIRRORED.get(operator, operator), left
    return f"{_describe(left)} {_WORDS[operator]} {_describe(right)}"
