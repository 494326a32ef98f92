"""Whether the customer or an administrator opted out through the environment."""

from __future__ import annotations

import os


def switched_off() -> str | None:
    """Why nothing may be done on this machine, if the customer or an administrator said so in the environment."""
    if os.environ.get("HUSHTALLY_DISABLED", "") not in ("", "0"):
        return "HUSHTALLY_DISABLED is set"
    if os.environ.get("DO_NOT_TRACK", "") not in ("", "0"):
        return "DO_NOT_TRACK is set"
    return None
