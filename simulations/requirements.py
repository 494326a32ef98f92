"""Requirements on the environment in which real clients run."""

from __future__ import annotations

from hushtally.client_sdk.state.opt_out import opt_out_reason
from hushtally.simulations.errors import SimulationError


def require_clients_enabled() -> None:
    """Raise SimulationError if an environment variable disables all clients."""
    if reason := opt_out_reason():
        raise SimulationError(f"cannot simulate real clients: {reason}; unset it and try again")
