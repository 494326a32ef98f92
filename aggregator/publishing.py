"""Publishing rules: which tallies may become figures, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from scipy.special import betainc, ndtr

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.intervals import Floats
from hushtally.aggregator.regression import regress
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Series
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.survey.questions import Question

IMPOSSIBLE = 1e-9  # the largest probability that a table of genuine reports is refused as impossible


def published(
    series: Series, min_reports: int, segments: Iterable[str], kind: str, rows: Callable[[Series], Iterable[Row]]
) -> Iterator[Row]:
    """Return the rows of a series. If it may not be published, return one row with the reason for each segment.

    kind: the kind of all rows. rows: a function from the series, whose template has this kind, to its rows.
    """
    series = replace(series, template=replace(series.template, kind=kind))
    try:
        require_enough(series.tally, min_reports)
        for tally in series.tallies.values():
            require_possible(series.question, tally)
        yield from list(rows(series))
    except NotEstimableError as error:
        yield from (replace(series.template, segment=segment, reason=str(error)) for segment in segments)


def require_enough(tally: Tally, min_reports: int) -> None:
    """Raise NotEstimableError if there are fewer reports than the survey publishes."""
    if tally.n < min_reports:
        raise NotEstimableError(f"fewer than {min_reports:,} reports: {tally.n:,}")


def require_possible(question: Question, tally: Tally) -> None:
    """Raise NotEstimableError for counts that no population could give, except with probability IMPOSSIBLE.

    If nobody is in a segment, its support count is Binomial(n, q). If everybody is in it, the count is Binomial(n, p).
    Noise does not explain a count beyond both. The counts are damaged or invented, or belong to another survey.
    """
    shares, odds = _tails(question, tally)
    worst = int(np.argmin(odds))
    if odds[worst] * 2 * odds.size < IMPOSSIBLE:
        raise NotEstimableError(
            f"impossible counts: {shares[worst]:.0%} of customers in {question.segments[worst]!r}, which is not noise;"
            " they are damaged or invented; to find them, compare the cells with --epoch and --by"
        )


def _tails(question: Question, tally: Tally) -> tuple[Floats, Floats]:
    """Return the share of every segment, and how probable such an extreme share is at most, for any population."""
    mechanism, n = question.mechanism, tally.n
    if isinstance(mechanism, Rappor):
        found = regress(mechanism, tally)
        outside = np.maximum(found.shares - 1, -found.shares)
        safe = np.where(found.standard_error > 0, found.standard_error, 1)
        return found.shares, np.where(outside > 0, ndtr(-outside / safe), 1.0)
    supporting = support_counts(mechanism, tally)
    p, q = float(mechanism.channel.p), float(mechanism.channel.q)
    at_least = np.where(supporting > 0, betainc(np.maximum(supporting, 1), n - supporting + 1, p), 1.0)
    at_most = np.where(supporting < n, betainc(np.maximum(n - supporting, 1), supporting + 1, 1 - q), 1.0)
    return np.asarray(mechanism.channel.debias(supporting, n)), np.minimum(at_least, at_most)
