"""The error that simulations raise."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError


class SimulationError(HushtallyError):
    """The survey, the population or the environment does not allow the requested simulation."""
