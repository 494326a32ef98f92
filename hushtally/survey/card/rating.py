"""The rating of a risk: its likelihood, its severity, and the score that follows from both."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, format_belief

HIGH, MEDIUM = 8, 4  # the lowest scores of a high and a medium risk
PRIOR_AUTHORITY = "consult the supervisory authority (GDPR art. 36)"


class Level(IntEnum):
    """How likely or how severe something is. The four levels are those of the CNIL's method."""

    NEGLIGIBLE = 1
    LIMITED = 2
    SIGNIFICANT = 3
    MAXIMUM = 4

    @property
    def word(self) -> str:
        """The level in the context file and in the card, such as "limited"."""
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> Level:
        """The level with this word."""
        return cls[word.upper()]


# the largest belief of an observer for which a disclosure has this likelihood; above the last it is the maximum
LIKELIHOODS = ((0.25, Level.NEGLIGIBLE), (0.5, Level.LIMITED), (0.9, Level.SIGNIFICANT))


class Rating(NamedTuple):
    """The likelihood and the severity of a risk, either before or after the measures."""

    likelihood: Level
    severity: Level

    @property
    def score(self) -> int:
        """Likelihood times severity, in 1..16."""
        return self.likelihood * self.severity

    @property
    def high(self) -> bool:
        """Whether the risk is high: with this rating after the measures, the authority must be consulted."""
        return self.score >= HIGH

    def __str__(self) -> str:
        size = "high" if self.high else "medium" if self.score >= MEDIUM else "low"
        return (
            f"{self.likelihood.word} ({self.likelihood}) × {self.severity.word} ({self.severity})"
            f" = {self.score}, {size}"
        )


def disclosure_likelihood(epsilon: float) -> Level:
    """The likelihood that an observer of reports worth `epsilon` concludes a true answer; from the bound on belief."""
    belief = belief_bound(PRIOR, epsilon)
    return next((level for largest, level in LIKELIHOODS if belief <= largest), Level.MAXIMUM)


def disclosure_formula(epsilon: float) -> str:
    """The bound on belief with the numbers of this epsilon, such as `0.1 / (0.1 + 0.9 × e^−1) = 24%`."""
    bound = format_belief(belief_bound(PRIOR, epsilon))
    return f"{PRIOR:g} / ({PRIOR:g} + {1 - PRIOR:g} × e^−{epsilon:g}) = {bound}"
