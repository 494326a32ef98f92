"""How sure an observer can be after seeing reports (a bound by Bayes' theorem)."""

from __future__ import annotations

import math

PRIOR = 0.10  # belief before any report, in all examples
LARGEST_SHOWN = 0.9999  # more digits would not help a reader


def belief_bound(prior: float, epsilon: float) -> float:
    """The largest belief (posterior probability) of an observer who has seen reports worth `epsilon`.

    prior: belief before the reports, in [0, 1]; epsilon: >= 0, summed over the reports. The likelihood ratio is at
    most exp(epsilon).
    """
    return prior / (prior + (1 - prior) * math.exp(-epsilon))


def describe_belief(belief: float) -> str:
    """A belief bound in words, rounded up: "at most 46% sure" or "practically certain"."""
    return "practically certain" if belief > LARGEST_SHOWN else f"at most {format_belief(belief)} sure"


def format_belief(belief: float) -> str:
    """A belief bound in percent, rounded up, with two decimals above 98%: "46%", "99.19%", "over 99.99%"."""
    if belief > LARGEST_SHOWN:
        return f"over {LARGEST_SHOWN:.2%}"
    digits = 0 if belief <= 0.98 else 2
    percent = math.ceil(belief * 10 ** (2 + digits) - 1e-9) / 10**digits  # 1e-9: a float error must not round 57% up
    return f"{percent:.{digits}f}%"
