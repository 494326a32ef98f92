"""The mechanisms: each turns a true value into a symbol that tells at most epsilon about it."""

from hushtally.client_sdk.mechanisms.affine import Affine
from hushtally.client_sdk.mechanisms.auto import choose, most_symbols_permanent, optimal_mean_variance
from hushtally.client_sdk.mechanisms.base import (
    EPSILON_RANGE,
    MOST_VALUES,
    SYMBOLS_AUTO,
    SYMBOLS_NAMED,
    Mechanism,
    Tilted,
    Weights,
)
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.direct import Direct
from hushtally.client_sdk.mechanisms.permanent import Permanent, PermanentMechanism
from hushtally.client_sdk.mechanisms.projective import Projective
from hushtally.client_sdk.mechanisms.rappor import Rappor
from hushtally.client_sdk.mechanisms.registry import NAMES, build, describe
from hushtally.client_sdk.mechanisms.subset import Subset
from hushtally.client_sdk.mechanisms.unary import Optimized, Symmetric, Unary

__all__ = [
    "EPSILON_RANGE",
    "MOST_VALUES",
    "NAMES",
    "SYMBOLS_AUTO",
    "SYMBOLS_NAMED",
    "Affine",
    "Design",
    "Direct",
    "Mechanism",
    "Optimized",
    "Permanent",
    "PermanentMechanism",
    "Projective",
    "Rappor",
    "Subset",
    "Symmetric",
    "Tilted",
    "Unary",
    "Weights",
    "build",
    "choose",
    "describe",
    "most_symbols_permanent",
    "optimal_mean_variance",
]
