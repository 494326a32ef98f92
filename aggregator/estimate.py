"""From the counts of one question to its shares, each with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from hushtally.aggregator.consistency import consistent
from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import (
    Booleans,
    Floats,
    Interval,
    Population,
    comparisons,
    detected,
    share_interval,
    simultaneous,
)
from hushtally.aggregator.regression import regress
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.survey.questions import Question

CONFIDENCE_RANGE = (0.5, 0.9999)
# shares, standard errors, intervals of each and of all at once, which were detected
Decoded = tuple[Floats, Floats, Interval, Interval, Booleans]

POPULATIONS: tuple[str, ...] = get_args(Population)


@dataclass(frozen=True, eq=False)
class Estimate:
    """The share of customers in every segment of a question; arrays of shape (domain,) in the domain's order.

    estimate is unbiased and raw: it may be negative or above one. low..high holds the truth of one segment with the
    confidence asked for, simultaneous_low..simultaneous_high those of all segments at once, so also of those that were
    picked for their high estimates. detected: told from zero, as the lower end of the one-sided interval of the same
    confidence is above it; of rappor low..high also holds those `detected`, at the same confidence, not of those whose
    low is above 0. consistent is the closest set of shares that could be true.
    """

    n: int
    estimate: Floats
    standard_error: Floats
    low: Floats
    high: Floats
    simultaneous_low: Floats
    simultaneous_high: Floats
    consistent: Floats
    detected: Booleans


def estimate(
    question: Question | Mechanism,
    tally: Tally,
    confidence: float = 0.95,
    population: Population = "customers",
) -> Estimate:
    """The shares of a question's segments from the tally of its reports.

    confidence: 0.5 to 0.9999. population: "customers", the larger population that the respondents are a sample of, or
    "respondents", just them. EstimateError without reports or outside these ranges; NotEstimableError where rappor's
    bits cannot tell the segments apart.
    """
    mechanism = question.mechanism if isinstance(question, Question) else question
    _check(tally, confidence, population)
    if isinstance(mechanism, Rappor):
        decoded = _regressed(mechanism, tally, confidence, population)
    else:
        decoded = _counted(mechanism, tally, confidence, population)
    shares, standard_error, each, together, told = decoded
    # Exact intervals may be shorter than approximate ones, and those of few shares at once than one for the detected.
    lowest, highest = np.minimum(together.low, each.low), np.maximum(together.high, each.high)
    return Estimate(tally.n, shares, standard_error, *each, lowest, highest, consistent(shares), told)


def _counted(mechanism: Mechanism, tally: Tally, confidence: float, population: Population) -> Decoded:
    channel, n = mechanism.channel, tally.n
    supporting = support_counts(mechanism, tally)
    shares = channel.debias(supporting, n)
    # A share outside 0..1 would have a variance that no population has, down to none at all.
    possible = np.clip(shares, 0, 1)
    variance = channel.variance if population == "customers" else channel.respondents_variance
    each, together = (
        share_interval(channel, supporting, n, level, population)
        for level in (confidence, simultaneous(confidence, comparisons(mechanism)))
    )
    told = detected(channel, supporting, n, confidence, population)
    return shares, np.sqrt(variance(possible, n)), each, together, told


def _regressed(mechanism: Rappor, tally: Tally, confidence: float, population: Population) -> Decoded:
    found = regress(mechanism, tally, population)
    each, together = found.interval(confidence), found.simultaneous(confidence)
    return found.shares, found.standard_error, each, together, found.detected(confidence)


def _check(tally: Tally, confidence: float, population: str) -> None:
    low, high = CONFIDENCE_RANGE
    if not low <= confidence <= high:
        raise EstimateError(f"confidence must be at least {low} and at most {high}, got {confidence}")
    if population not in POPULATIONS:
        raise EstimateError(f"population must be one of {', '.join(POPULATIONS)}, got {population!r}")
    if not tally.n:
        raise EstimateError("an estimate needs at least one report")
