"""Stops the clock of every Python process that runs a page at the time in HUSHTALLY_PAGE_TIME; see docs/pages.py."""

import os
from datetime import datetime

if "HUSHTALLY_PAGE_TIME" in os.environ:
    from hushtally.client_sdk import clock

    now = datetime.fromisoformat(os.environ["HUSHTALLY_PAGE_TIME"])
    clock.utc_now = lambda: now
