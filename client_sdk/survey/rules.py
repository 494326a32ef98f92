"""Rules: small expressions over signals, checked when the survey is read and evaluated by pure-eval on the device."""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pure_eval import CannotEval, Evaluator

from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.fields import LARGEST

LONGEST = 500
DEEPEST = 20
MOST_NODES = 150

_FUNCTIONS: dict[str, Any] = {"abs": abs, "len": len, "min": min, "max": max}
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)

RESERVED = frozenset({*_FUNCTIONS, *keyword.kwlist})

_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_FOREIGN = {  # what other languages write, each with what is written here
    re.compile(r"(?<![=<>!:])=(?!=)"): "one = does not compare, == does",
    re.compile(r"&&"): "&& is written and",
    re.compile(r"\|\|"): "|| is written or",
    re.compile(r"!(?!=)"): "! is written not",
}
_NUMBER = re.compile(r"(?<!\w)\.?\d(?:[eE][+-]|[\w.])*", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Kind(StrEnum):
    """What an expression yields."""

    NUMBER = "a number"
    TEXT = "a name"
    TRUTH = "true or false"


@dataclass(frozen=True)
class Rule:
    """An expression that was found to be inside the language: cheap, without attributes, powers or free calls.

    It never raises on a device: a rule that fails counts as false, a number that fails as None.
    """

    source: str
    _tree: ast.expr = field(repr=False, compare=False)

    @classmethod
    def parse(cls, source: str, signals: Mapping[str, Kind], kind: Kind) -> Rule:
        """Reads `source`, an expression of `kind` over the named signals; RuleError says what it may not hold."""
        tree = _parse(source)
        found = _Checker(signals).kind(tree)
        if found is not kind:
            raise RuleError(f"must be {kind}, is {found}")
        return cls(source, tree)

    @property
    def signals(self) -> set[str]:
        """The signals that the expression names."""
        return {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} - _FUNCTIONS.keys()

    @property
    def constants(self) -> dict[str, set[float | str]] | None:
        """What each signal is compared with, of a condition that only compares single signals with constants.

        Whether such a condition holds follows from where every signal lies among its constants. None for any other.
        """
        found: dict[str, set[float | str]] = {name: set() for name in self.signals}
        return found if _collect(self._tree, found) else None

    def holds(self, signals: Mapping[str, object]) -> bool:
        """Whether the condition is true of these signals; false when it cannot be told."""
        return self._evaluate(signals) is True

    def number(self, signals: Mapping[str, object]) -> float | None:
        """The number for these signals, or None when there is none."""
        value = self._evaluate(signals)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return None if math.isnan(number) else number

    def _evaluate(self, signals: Mapping[str, object]) -> Any:
        try:
            return Evaluator({**_FUNCTIONS, **signals})[self._tree]
        except (CannotEval, ArithmeticError, TypeError, ValueError, RecursionError, MemoryError):
            return None


def _collect(node: ast.expr, found: dict[str, set[float | str]]) -> bool:
    """Whether the condition only compares single signals with constants, which it adds to those of the signal."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.Not()):
            return _collect(node.operand, found)
        case ast.BoolOp():
            return all(_collect(one, found) for one in node.values)
        case ast.Compare():
            parts = [node.left]
            for one in node.comparators:
                parts += one.elts if isinstance(one, ast.List | ast.Tuple) else [one]
            names = {part.id for part in parts if isinstance(part, ast.Name)}
            values = [part for part in parts if not isinstance(part, ast.Name)]
            if len(names) > 1 or not all(map(_literal, values)):
                return False
            for name in names:
                found[name] |= {ast.literal_eval(value) for value in values}
            return True
    return False


def _parse(source: str) -> ast.expr:
    if len(source) > LONGEST:
        raise RuleError(f"must be at most {LONGEST} characters long, has {len(source):,}")
    _check_spelling(source)
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        bare = _TEXT.sub(" ", source)
        why = next((hint for foreign, hint in _FOREIGN.items() if foreign.search(bare)), error.msg)
        raise RuleError(f"is not an expression: {why}") from None
    except (ValueError, RecursionError, MemoryError):
        raise RuleError("is not an expression that can be read") from None
    _check_size(tree)
    return tree


def _check_spelling(source: str) -> None:
    """Refuses what Python reads but people misread, and what only some versions of it read without a warning."""
    if not source.isprintable():
        raise RuleError("must be one line of printable characters")
    if "\\" in source:
        raise RuleError("may not hold a backslash")
    if "'''" in source or '"""' in source:
        raise RuleError("may not hold three quotes in a row")
    marked = _TEXT.sub("\0", source)
    if re.search(r"\w\0", marked):
        raise RuleError("may not hold a letter right before a text in quotes")
    if re.search(r"\0\s*\0", marked):
        raise RuleError("may not hold two texts in a row: Python would join them")
    bare = marked.replace("\0", " ")
    if not bare.isascii():
        strange = next(one for one in bare if not one.isascii())
        raise RuleError(f"may hold letters beyond ASCII in quotes only, not {strange!r}")
    if "#" in bare:
        raise RuleError("may not hold a comment")
    for number in _NUMBER.findall(bare):
        if not _PLAIN_NUMBER.fullmatch(number):
            raise RuleError(f"numbers are written like 12, 0.5 or 1e6, not {number!r}")


def _check_size(tree: ast.expr) -> None:
    """Bounds the expression before anything walks it by recursion."""
    level: list[ast.AST] = [tree]
    parts = 0
    for _ in range(DEEPEST):
        parts += sum(isinstance(node, ast.expr) for node in level)
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES)]
    if level:
        raise RuleError(f"is nested more than {DEEPEST} deep")
    if parts > MOST_NODES:
        raise RuleError(f"has more than {MOST_NODES} parts")


class _Checker:
    """Walks an expression once, giving every part a kind and refusing what is outside the language."""

    def __init__(self, signals: Mapping[str, Kind]) -> None:
        self.signals = signals

    def kind(self, node: ast.expr) -> Kind:
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                if node.id not in self.signals:
                    raise RuleError(f"unknown signal {node.id!r}{did_you_mean(node.id, self.signals)}")
                return self.signals[node.id]
            case ast.UnaryOp(op=ast.Not()):
                return self._all([node.operand], Kind.TRUTH, "not")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._all([node.operand], Kind.NUMBER, "a sign")
            case ast.BoolOp():
                return self._all(node.values, Kind.TRUTH, "'and' and 'or'")
            case ast.BinOp(op=op) if isinstance(op, _ARITHMETIC):
                return self._all([node.left, node.right], Kind.NUMBER, "arithmetic")
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
                return self._call(name, node.args)
        raise RuleError(f"may not hold {_called(node)}")

    def _constant(self, node: ast.Constant) -> Kind:
        value = node.value
        if isinstance(value, bool):
            return Kind.TRUTH
        if isinstance(value, int | float):
            if not abs(value) <= LARGEST:
                raise RuleError(f"may hold numbers within ±{LARGEST:g}, not one beyond")
            return Kind.NUMBER
        if isinstance(value, str):
            return Kind.TEXT
        raise RuleError(f"may not hold the constant {value!r}")

    def _all(self, nodes: list[ast.expr], kind: Kind, what: str) -> Kind:
        for node in nodes:
            found = self.kind(node)
            if found is not kind:
                raise RuleError(f"{what} takes {kind}, but {_text(node)} is {found}")
        return kind

    def _comparison(self, node: ast.Compare) -> Kind:
        left, left_kind = node.left, self.kind(node.left)
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if not isinstance(right, ast.List | ast.Tuple) or not right.elts or not all(map(_literal, right.elts)):
                    raise RuleError(f"'in' takes a list of constants, not {_text(right)}")
                self._all(right.elts, left_kind, "this 'in'")
                if len(node.ops) > 1:
                    raise RuleError("'in' stands alone: combine it with 'and'")
                continue
            if not isinstance(op, _COMPARISONS):
                raise RuleError("may not hold 'is'")
            right_kind = self.kind(right)
            if right_kind is not left_kind:
                raise RuleError(f"compares {left_kind}, {_text(left)}, with {right_kind}, {_text(right)}")
            if left_kind is not Kind.NUMBER and not isinstance(op, ast.Eq | ast.NotEq):
                raise RuleError(f"names have no order: {_text(left)} can be compared with == and != only")
            left = right
        return Kind.TRUTH

    def _call(self, name: str, arguments: list[ast.expr]) -> Kind:
        if len(arguments) != 1:
            raise RuleError(f"{name} takes one argument, got {len(arguments)}")
        argument = arguments[0]
        if name in ("min", "max"):
            if not isinstance(argument, ast.List) or not argument.elts:
                raise RuleError(f"{name} takes a list in brackets, like {name}([a, b])")
            return self._all(argument.elts, Kind.NUMBER, name)
        if name == "len":
            self._all([argument], Kind.TEXT, name)
            return Kind.NUMBER
        return self._all([argument], Kind.NUMBER, name)


def _literal(node: ast.expr) -> bool:
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()) | ast.Constant():
            return True
    return False


def _text(node: ast.expr) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _called(node: ast.expr) -> str:
    match node:
        case ast.BinOp(op=ast.Pow()):
            return "a power (**)"
        case ast.BinOp():
            return f"the operator in {_text(node)}"
        case ast.Attribute():
            return f"an attribute ({_text(node)})"
        case ast.Call():
            return f"the call {_text(node)}: only {', '.join(_FUNCTIONS)} can be called"
        case ast.List() | ast.Tuple():
            return "a list, except after 'in' and in min and max"
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return "a comprehension"
        case ast.Subscript():
            return f"an index ({_text(node)})"
        case ast.Lambda():
            return "a lambda"
        case ast.IfExp():
            return "'if' and 'else': give each case a segment of its own"
    return f"{_text(node)} ({type(node).__name__})"
