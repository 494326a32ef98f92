"""Rules: small expressions over signals. They are checked when the survey is read, and evaluated on the device.

The syntax is a part of Python's, and Python's parser reads it. The test vectors state its grammar and its arithmetic.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import Any

from pure_eval import CannotEval, Evaluator

from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.fields import MAX_NUMBER

MAX_LENGTH = 500
MAX_DEPTH = 20  # of levels, and of brackets
MAX_PARTS = 150

_FUNCTIONS: dict[str, Any] = {"abs": abs, "len": len, "min": min, "max": max}
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)

RESERVED = frozenset({*_FUNCTIONS, *keyword.kwlist})

_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_FOREIGN_OPERATORS = {  # operators of other languages, each with the operator of this language
    re.compile(r"(?<![=<>!:])=(?!=)"): "use == to compare, not =",
    re.compile(r"&&"): "use 'and' instead of &&",
    re.compile(r"\|\|"): "use 'or' instead of ||",
    re.compile(r"!(?!=)"): "use 'not' instead of !",
}
_NUMBER = re.compile(r"(?<!\w)\.?\d(?:[eE][+-]|[\w.])*", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SIGNED = rf"(?:[+-] *)?(?:{_PLAIN_NUMBER.pattern}|{_STRING.pattern}|True|False)"
_LIST_OF_CONSTANTS = re.compile(rf"[\[(] *{_SIGNED}(?: *, *{_SIGNED})*(?: *,)? *[\])]", re.ASCII)


class Kind(StrEnum):
    """The type of an expression."""

    NUMBER = "a number"
    STRING = "a string"
    BOOLEAN = "true or false"


@dataclass(frozen=True)
class Rule:
    """A valid expression of the language: cheap to evaluate, without attributes, powers or arbitrary calls.

    It never raises on a device: a condition that fails counts as false, and a number that fails as None.
    """

    source: str
    _tree: ast.expr = field(repr=False, compare=False)

    @classmethod
    def parse(cls, source: str, signals: Mapping[str, Kind], kind: Kind) -> Rule:
        """Parse an expression of this kind over these signals. Raises RuleError if it is not in the language."""
        tree = _parse(source)
        found = _Checker(signals, source).kind(tree)
        if found is not kind:
            raise RuleError(f"must be {kind}, but is {found}")
        return cls(source, tree)

    @property
    def signals(self) -> set[str]:
        """The names of the signals in the expression."""
        return {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} - _FUNCTIONS.keys()

    @property
    def constants(self) -> dict[str, set[float | str]] | None:
        """The constants that each signal is compared with, if the condition only compares signals with constants.

        The position of every signal among its constants then decides the condition. None for any other condition.
        """
        found: dict[str, set[float | str]] = {name: set() for name in self.signals}
        return found if _collect_constants(self._tree, found) else None

    def holds(self, signals: Mapping[str, object]) -> bool:
        """Whether the condition is true for these signals. False if its evaluation fails."""
        return self._evaluate(signals) is True

    def number(self, signals: Mapping[str, object]) -> float | None:
        """The number for these signals. None if there is none, or if its evaluation fails."""
        value = self._evaluate(signals)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return None if math.isnan(number) else number

    def _evaluate(self, signals: Mapping[str, object]) -> Any:
        try:
            return _DoubleEvaluator({**_FUNCTIONS, **signals})[self._tree]
        except (CannotEval, ArithmeticError, TypeError, ValueError, RecursionError, MemoryError):
            return None


class _DoubleEvaluator(Evaluator):
    """Evaluates as the test vectors state: every number is a double, and `//` is rounded only once."""

    def __getitem__(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            return _floor_quotient(self[node.left], self[node.right])
        value = super().__getitem__(node)
        return float(value) if type(value) is int else value


def _floor_quotient(x: float, y: float) -> float:
    """The floor of the exact quotient, rounded once. Python's own `//` rounds twice if the quotient exceeds 2^51."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return x // y
    try:
        return float(Fraction(x) // Fraction(y))
    except OverflowError:
        return x / y  # infinity with the sign of the quotient


def _collect_constants(node: ast.expr, found: dict[str, set[float | str]]) -> bool:
    """Whether a condition only compares signals with constants. Adds the constants to those of the signal."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.Not()):
            return _collect_constants(node.operand, found)
        case ast.BoolOp():
            return all(_collect_constants(operand, found) for operand in node.values)
        case ast.Compare():
            parts = [node.left]
            for operand in node.comparators:
                parts += operand.elts if isinstance(operand, ast.List | ast.Tuple) else [operand]
            names = {part.id for part in parts if isinstance(part, ast.Name)}
            values = [part for part in parts if not isinstance(part, ast.Name)]
            if len(names) > 1 or not all(map(_literal, values)):
                return False
            for name in names:
                found[name] |= {ast.literal_eval(value) for value in values}
            return True
    return False


def _parse(source: str) -> ast.expr:
    if len(source) > MAX_LENGTH:
        raise RuleError(f"must have at most {MAX_LENGTH} characters, got {len(source):,}")
    _check_spelling(source)
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        bare = _STRING.sub(" ", source)
        hint = next((hint for operator, hint in _FOREIGN_OPERATORS.items() if operator.search(bare)), error.msg)
        raise RuleError(f"is not a valid expression: {hint}") from None
    except (ValueError, RecursionError, MemoryError):
        raise RuleError("is not a valid expression") from None
    _check_size(tree)
    return tree


def _check_spelling(source: str) -> None:
    """Refuse what people misread although Python accepts it, and what only some Python versions accept silently."""
    if not source.isprintable():
        raise RuleError("must be one line of printable characters")
    if "\\" in source:
        raise RuleError("must not contain a backslash")
    marked = _STRING.sub("\0", source)
    if re.search(r"\w\0", marked):
        raise RuleError("must not have a letter or digit directly before a quoted string")
    if re.search(r"\0\s*\0", marked):
        raise RuleError("must not have two strings in a row; put a comma or an operator between them")
    bare = marked.replace("\0", " ")
    if not bare.isascii():
        character = next(character for character in bare if not character.isascii())
        raise RuleError(f"must be ASCII outside quotes, got {character!r}")
    if "#" in bare:
        raise RuleError("must not contain a comment")
    if _bracket_depth(bare) > MAX_DEPTH:
        raise RuleError(f"must have brackets nested at most {MAX_DEPTH} deep")
    for number in _NUMBER.findall(bare):
        if not _PLAIN_NUMBER.fullmatch(number):
            raise RuleError(f"must have numbers like 12, 0.5 or 1e6, got {number!r}")


def _bracket_depth(source: str) -> int:
    """The largest number of brackets that are open at once. Python's own limit depends on its version."""
    steps = (1 if character in "([{" else -1 for character in source if character in "()[]{}")
    return max(accumulate(steps), default=0)


def _check_size(tree: ast.expr) -> None:
    """Refuse an expression that is too large, before any recursive function walks it."""
    level: list[ast.AST] = [tree]
    parts = 0
    for _ in range(MAX_DEPTH):
        parts += sum(isinstance(node, ast.expr) for node in level)
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES)]
    if level:
        raise RuleError(f"must be nested at most {MAX_DEPTH} levels deep")
    if parts > MAX_PARTS:
        raise RuleError(f"must have at most {MAX_PARTS} parts, got {parts:,}")


class _Checker:
    """Computes the kind of every part of an expression, and refuses what is not in the language."""

    def __init__(self, signals: Mapping[str, Kind], source: str) -> None:
        """source: what the expression was parsed from, because the tree does not contain redundant brackets."""
        self.signals = signals
        self.source = source.strip().encode()

    def kind(self, node: ast.expr) -> Kind:
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                if node.id not in self.signals:
                    raise RuleError(f"unknown signal {node.id!r}{did_you_mean(node.id, self.signals)}")
                return self.signals[node.id]
            case ast.UnaryOp(op=ast.Not()):
                return self._all([node.operand], Kind.BOOLEAN, "'not'")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._all([node.operand], Kind.NUMBER, "a sign")
            case ast.BoolOp():
                return self._all(node.values, Kind.BOOLEAN, "'and'" if isinstance(node.op, ast.And) else "'or'")
            case ast.BinOp(op=op) if isinstance(op, _ARITHMETIC):
                return self._all([node.left, node.right], Kind.NUMBER, "arithmetic")
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
                self._check_call(node)
                return self._call(name, node.args)
        raise RuleError(f"must not contain {_describe(node)}")

    def _constant(self, node: ast.Constant) -> Kind:
        value = node.value
        if isinstance(value, bool):
            return Kind.BOOLEAN
        if isinstance(value, int | float):
            if not abs(value) <= MAX_NUMBER:
                raise RuleError(f"must have numbers within ±{MAX_NUMBER:g}")
            return Kind.NUMBER
        if isinstance(value, str):
            return Kind.STRING
        raise RuleError(f"must not contain the constant {value!r}")

    def _all(self, nodes: list[ast.expr], kind: Kind, operator: str) -> Kind:
        """Require the kind for all operands of an operator or function."""
        for node in nodes:
            found = self.kind(node)
            if found is not kind:
                raise RuleError(f"{operator} needs {kind}, but {_source(node)} is {found}")
        return kind

    def _comparison(self, node: ast.Compare) -> Kind:
        left, left_kind = node.left, self.kind(node.left)
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if not isinstance(right, ast.List | ast.Tuple) or not right.elts or not all(map(_literal, right.elts)):
                    raise RuleError(f"'in' needs a list of constants, got {_source(right)}")
                self._all(right.elts, left_kind, "the list after this 'in'")
                self._check_list(node.left, right)
                if len(node.ops) > 1:
                    raise RuleError("'in' must not be part of a chain of comparisons; combine them with 'and'")
                continue
            if not isinstance(op, _COMPARISONS):
                raise RuleError("must not contain 'is'; use == or !=")
            right_kind = self.kind(right)
            if right_kind is not left_kind:
                raise RuleError(
                    f"must compare values of one type: {_source(left)} is {left_kind}, {_source(right)} is {right_kind}"
                )
            if left_kind is not Kind.NUMBER and not isinstance(op, ast.Eq | ast.NotEq):
                raise RuleError(
                    f"must compare only numbers with <, <=, > and >=, but {_source(left)} is {left_kind}; use == or !="
                )
            left = right
        return Kind.BOOLEAN

    def _call(self, name: str, arguments: list[ast.expr]) -> Kind:
        if len(arguments) != 1:
            raise RuleError(f"{name} needs one argument, got {len(arguments)}")
        argument = arguments[0]
        if name in ("min", "max"):
            if not isinstance(argument, ast.List) or not argument.elts:
                raise RuleError(f"{name} needs a list in brackets, like {name}([a, b])")
            return self._all(argument.elts, Kind.NUMBER, name)
        if name == "len":
            self._all([argument], Kind.STRING, name)
            return Kind.NUMBER
        return self._all([argument], Kind.NUMBER, name)

    def _check_list(self, left: ast.expr, constants: ast.expr) -> None:
        """Require a list of constants without redundant brackets, directly after `in`."""
        before = self._between(left.end_col_offset, constants.col_offset)
        listed = self._between(constants.col_offset, constants.end_col_offset)
        if not before.endswith("in") or not _LIST_OF_CONSTANTS.fullmatch(listed):
            raise RuleError("'in' needs a list without other brackets, like x in [1, -2]")

    def _check_call(self, node: ast.Call) -> None:
        """Require a call without redundant brackets around its name or its list, and without a comma at its end."""
        if self._between(node.func.end_col_offset, node.end_col_offset)[0] != "(":
            raise RuleError(f"must not have brackets around the name of a function, got {_source(node)}")
        if not node.args:
            return
        before = self._between(node.func.end_col_offset, node.args[0].col_offset)
        after = self._between(node.args[-1].end_col_offset, node.end_col_offset)
        if "," in after:
            raise RuleError(f"must not have a comma after the argument of a function, got {_source(node)}")
        if isinstance(node.args[0], ast.List) and before != "(":
            raise RuleError(f"must not have brackets around the list of a function, got {_source(node)}")

    def _between(self, start: int | None, end: int | None) -> str:
        """The part of the source between two positions, without the spaces around it."""
        return self.source[start:end].decode().strip()


def _literal(node: ast.expr) -> bool:
    """Whether a node is a constant with at most one sign."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()) | ast.Constant():
            return True
    return False


def _source(node: ast.expr) -> str:
    """The source of a node, quoted and shortened for a message."""
    text = ast.unparse(node)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _describe(node: ast.expr) -> str:
    """What a node is, for a message that refuses it."""
    match node:
        case ast.BinOp(op=ast.Pow()):
            return "a power (**)"
        case ast.BinOp():
            return f"the operator in {_source(node)}"
        case ast.Attribute():
            return f"an attribute ({_source(node)})"
        case ast.Call():
            return f"the call {_source(node)}; only {', '.join(_FUNCTIONS)} can be called"
        case ast.List() | ast.Tuple():
            return "a list, except after 'in' and in min and max"
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return "a comprehension"
        case ast.Subscript():
            return f"an index ({_source(node)})"
        case ast.Lambda():
            return "a lambda"
        case ast.IfExp():
            return "'if' and 'else'; give each case its own segment"
    return f"{_source(node)} ({type(node).__name__})"
