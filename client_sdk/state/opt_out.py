"""The environment variables with which a customer or an administrator opts out."""

from __future__ import annotations

import os


def opt_out_reason() -> str | None:
    """Return which variable forbids everything on this machine; None if none does."""
    if os.environ.get("HUSHTALLY_DISABLED", "") not in ("", "0"):
        return "HUSHTALLY_DISABLED is set"
    if os.environ.get("DO_NOT_TRACK", "") not in ("", "0"):
        return "DO_NOT_TRACK is set"
    return None
