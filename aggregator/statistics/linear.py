"""Linear statistics: any weighted sum of the shares of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Floats, Interval, Population, normal_interval
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class Linear:
    """One or several weighted sums of shares. The arrays have the shape of the weights without their last axis.

    n: the number of reports. estimate: unbiased and raw. standard_error: from the exact moments of the reports.
    """

    n: int
    estimate: Floats
    standard_error: Floats

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each sum. It contains the true sum with probability `level`."""
        return normal_interval(self.estimate, self.standard_error, level)


def linear(
    question: Question | Mechanism,
    tally: Tally,
    weights: Mapping[str, float] | ArrayLike,
    population: Population = "customers",
) -> Linear:
    """Estimate any weighted sum of the shares of a question, with its standard error.

    weights: an array whose last axis has one weight for every segment, in the order of the domain; or a mapping from
    segments to weights. Segments that are not in the mapping have the weight 0. Raises EstimateError for other weights,
    and if there is no report.

    How much larger is the first segment than the second? The errors of the two shares depend on each other:

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> tally = Tally.of({0: 900, 1: 500, 2: 600})
    >>> difference = linear(Direct(3, Weights.of(1.0)), tally, [1, -1, 0])
    >>> print(f"{difference.estimate:.3f} ± {difference.standard_error:.3f}")
    0.549 ± 0.050
    >>> low, high = difference.confidence_interval(0.99)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.421 to 0.678
    """
    table = ShareTable.of(question, tally, population)
    each = weights_of(question, weights) if isinstance(weights, Mapping) else np.asarray(weights, dtype=np.float64)
    domain = table.mechanism.domain
    if not each.ndim or each.shape[-1] != domain or not np.isfinite(each).all():
        raise EstimateError(f"weights must be {domain:,} finite numbers, one for every segment, got {weights!r}")
    rows = each.reshape(-1, domain)
    shape = each.shape[:-1]
    return Linear(
        table.n,
        np.asarray(rows @ table.shares).reshape(shape)[()],
        table.standard_errors(rows).reshape(shape)[()],
    )


def weights_of(question: Question | Mechanism, weights: Mapping[str, float]) -> Floats:
    """Return the weights in the order of the domain.

    Raises EstimateError for a segment that the question does not have.
    """
    if not isinstance(question, Question):
        raise EstimateError("weights by segment need a question; for a mechanism, give one weight for every value")
    found = np.zeros(len(question.segments))
    for segment, weight in weights.items():
        if segment not in question.segments:
            known = did_you_mean(segment, question.segments)
            raise EstimateError(f"weights must name segments of {question.id}, got {segment!r}{known}")
        found[question.segments.index(segment)] = weight
    return found
