"""The estimate of one question: the share of every segment, with its uncertainty, from the counts of its reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, get_args

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
POPULATIONS: tuple[str, ...] = get_args(Population)


class _Decoded(NamedTuple):
    """Shares with their uncertainty, before the intervals are made consistent with each other."""

    shares: Floats
    standard_error: Floats
    interval: Interval
    simultaneous: Interval
    detected: Booleans


@dataclass(frozen=True, eq=False)
class Estimate:
    """The share of customers in every segment of a question; arrays of shape (domain,) in the order of the domain.

    n: the number of reports. estimate: unbiased and raw, so it may be negative or above one. low..high: contains the
    true share of one segment with the requested confidence. simultaneous_low..simultaneous_high: all of these intervals
    together contain the true shares with that confidence. So they also hold for segments that were picked for their
    estimates. consistent: the closest shares that are not negative and add up to one. detected: whether the share is
    distinguishable from zero, because the lower end of the one-sided interval of the same confidence is above zero.
    With rappor, low..high has the requested confidence for the segments with `detected` too, but not for the segments
    with low > 0.
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
    """Estimate the shares of the segments of a question from the tally of its reports.

    confidence: 0.5 to 0.9999. population: "customers" for the larger population from which the respondents are a
    sample, or "respondents" for the respondents alone. Raises EstimateError if there is no report or an argument is out
    of range; NotEstimableError if the bits of rappor cannot distinguish the segments.
    """
    mechanism = question.mechanism if isinstance(question, Question) else question
    _check(tally, confidence, population)
    if isinstance(mechanism, Rappor):
        decoded = _from_regression(mechanism, tally, confidence, population)
    else:
        decoded = _from_support_counts(mechanism, tally, confidence, population)
    # A simultaneous interval could be shorter than the single one: exact intervals may be shorter than approximate
    # ones, and rappor's single intervals are wider for detected segments.
    lowest = np.minimum(decoded.simultaneous.low, decoded.interval.low)
    highest = np.maximum(decoded.simultaneous.high, decoded.interval.high)
    return Estimate(
        n=tally.n,
        estimate=decoded.shares,
        standard_error=decoded.standard_error,
        low=decoded.interval.low,
        high=decoded.interval.high,
        simultaneous_low=lowest,
        simultaneous_high=highest,
        consistent=consistent(decoded.shares),
        detected=decoded.detected,
    )


def _from_support_counts(mechanism: Mechanism, tally: Tally, confidence: float, population: Population) -> _Decoded:
    channel, n = mechanism.channel, tally.n
    supporting = support_counts(mechanism, tally)
    shares = channel.debias(supporting, n)
    # A share outside 0..1 would have a variance that no population has, or a variance of zero.
    possible = np.clip(shares, 0, 1)
    variance = channel.variance if population == "customers" else channel.respondents_variance
    single, together = (
        share_interval(channel, supporting, n, level, population)
        for level in (confidence, simultaneous(confidence, comparisons(mechanism)))
    )
    found = detected(channel, supporting, n, confidence, population)
    return _Decoded(shares, np.sqrt(variance(possible, n)), single, together, found)


def _from_regression(mechanism: Rappor, tally: Tally, confidence: float, population: Population) -> _Decoded:
    regression = regress(mechanism, tally, population)
    return _Decoded(
        regression.shares,
        regression.standard_error,
        regression.interval(confidence),
        regression.simultaneous(confidence),
        regression.detected(confidence),
    )


def _check(tally: Tally, confidence: float, population: str) -> None:
    low, high = CONFIDENCE_RANGE
    if not low <= confidence <= high:
        raise EstimateError(f"confidence must be between {low} and {high}, got {confidence}")
    if population not in POPULATIONS:
        raise EstimateError(f"population must be one of {', '.join(POPULATIONS)}, got {population!r}")
    if not tally.n:
        raise EstimateError("an estimate needs at least one report")
