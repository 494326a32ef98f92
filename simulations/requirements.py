"""What the environment must allow before real clients are simulated."""

from __future__ import annotations

from hushtally.client_sdk.opt_out import opt_out_reason
from hushtally.simulations.errors import SimulationError


def require_clients() -> None:
    """SimulationError where the environment switches every client off."""
    if reason := opt_out_reason():
        raise SimulationError(f"real clients cannot be simulated here: {reason}")
