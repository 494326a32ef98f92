"""Pure: the mechanisms. Each maps a true value to a random symbol under epsilon-local differential privacy."""

from hushtally.client_sdk.mechanisms.affine import Affine
from hushtally.client_sdk.mechanisms.auto import choose, max_symbols_permanent, optimal_mean_variance
from hushtally.client_sdk.mechanisms.base import (
    EPSILON_RANGE,
    MAX_DOMAIN,
    MAX_SYMBOLS,
    MAX_SYMBOLS_AUTO,
    BaselineMechanism,
    Mechanism,
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
    "MAX_DOMAIN",
    "MAX_SYMBOLS",
    "MAX_SYMBOLS_AUTO",
    "NAMES",
    "Affine",
    "BaselineMechanism",
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
    "Unary",
    "Weights",
    "build",
    "choose",
    "describe",
    "max_symbols_permanent",
    "optimal_mean_variance",
]
