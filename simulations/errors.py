"""What can go wrong in a simulation."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError


class SimulationError(HushtallyError):
    """A simulation was asked for what the survey or the population does not allow."""
