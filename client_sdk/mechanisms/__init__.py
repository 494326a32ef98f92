"""The mechanisms: each turns a true value into a symbol that tells at most epsilon about it."""

from client_sdk.mechanisms.affine import Affine
from client_sdk.mechanisms.auto import choose, optimal_mean_variance
from client_sdk.mechanisms.base import Design, Mechanism, Weights
from client_sdk.mechanisms.direct import Direct

__all__ = ["Affine", "Design", "Direct", "Mechanism", "Weights", "choose", "optimal_mean_variance"]
