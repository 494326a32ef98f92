"""The reasons why a device does not answer a survey."""

from __future__ import annotations

from enum import StrEnum


class Silence(StrEnum):
    """Why a survey is silent on a device; each value is the sentence that `Client.status` shows.

    Two kinds of reasons are not listed: `opt_out.opt_out_reason` names the environment variable that is set, and a
    StateError describes why the state file cannot be used.
    """

    # stored in state files: keep these three strings
    ENDED = "the survey is over"
    SUPERSEDED = "another version took its place"
    ANSWERS_ERASED = "consent was withdrawn and the permanent answers erased"

    NO_CONSENT = "the customer has not agreed"
    WITHDRAWN = "the customer withdrew"
    OVER_CEILING = "the survey would exceed the app's privacy budget"
    NO_COHORT = "the app gave no cohort for this device"
    CLOCK_BACK = "the clock was set back"
    CLOCK_AHEAD = "the clock once showed a day after the survey's end"
    ROLLED_BACK = "the state file was copied, restored or replaced"
    DAMAGED = "the state file is damaged"
    UNREADABLE = "the state file cannot be read"
    CLOSED = "the client was closed"
    REENTRANT = "another call of a client is running on this thread"
