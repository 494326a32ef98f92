"""Lift: how much more often two segments occur together than if they were independent, and clusters of such pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Booleans, Floats, Interval, Population
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey.questions import Question

ESTIMABLE = 4.0  # standard errors of both margins; below, the share that independence predicts is too uncertain


@dataclass(frozen=True, eq=False)
class Lifts:
    """The lift of every cell of a table of rows and columns: arrays of shape (rows, columns).

    The lift of a cell is its share divided by the product of the shares of its row and its column. joint, rows,
    columns: the raw shares. covariance: of joint, row and column of each cell, of shape (rows, columns, 3, 3).
    """

    joint: Floats
    rows: Floats
    columns: Floats
    covariance: Floats

    @cached_property
    def product(self) -> Floats:
        """The unbiased estimate of the product of both margins. The covariance of the margins is subtracted."""
        return np.asarray(np.outer(self.rows, self.columns) - self.covariance[..., 1, 2])

    @property
    def estimate(self) -> Floats:
        """The lifts; NaN for a lift that cannot be estimated."""
        missing = np.full(self.joint.shape, np.nan)
        return np.asarray(np.divide(self.joint, self.product, out=missing, where=self.estimable))

    @cached_property
    def estimable(self) -> Booleans:
        """Whether the shares of the row and of the column are at least ESTIMABLE standard errors."""
        row_error, column_error = (np.sqrt(np.maximum(self.covariance[..., k, k], 0)) for k in (1, 2))
        rows, columns = self.rows[:, None], self.columns[None, :]
        clear = (rows >= ESTIMABLE * row_error) & (columns >= ESTIMABLE * column_error)
        return np.asarray(clear & (self.product > 0))

    @cached_property
    def _moments(self) -> tuple[Floats, Floats, Floats]:
        """The variance of the joint share, the variance of the product, and their covariance."""
        sigma = self.covariance
        rows, columns = self.rows[:, None], self.columns[None, :]
        of_product = (
            columns**2 * sigma[..., 1, 1]
            + rows**2 * sigma[..., 2, 2]
            + 2 * rows * columns * sigma[..., 1, 2]
            + sigma[..., 1, 1] * sigma[..., 2, 2]
            + sigma[..., 1, 2] ** 2
        )
        return sigma[..., 0, 0], of_product, columns * sigma[..., 0, 1] + rows * sigma[..., 0, 2]

    @property
    def standard_error(self) -> Floats:
        """The standard error of each lift; NaN if the lift cannot be estimated."""
        joint, product, both = self._moments
        lift = self.estimate
        variance = np.maximum(joint - 2 * lift * both + lift**2 * product, 0)
        return np.sqrt(variance) / np.where(self.estimable, self.product, 1)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each lift: all L for which (joint - L product) is compatible with 0. Fieller 1954.

        Ends are NaN if a lift cannot be estimated, or if the data exclude no large lift.
        """
        z = float(ndtri((1 + level) / 2))
        joint, product, both = self._moments
        square = self.product**2 - z**2 * product
        middle = self.joint * self.product - z**2 * both
        rest = self.joint**2 - z**2 * joint
        known = self.estimable & (square > 0)
        root = np.sqrt(np.where(known, np.maximum(middle**2 - square * rest, 0), np.nan))
        divisor = np.where(known, square, np.nan)
        return Interval((middle - root) / divisor, (middle + root) / divisor)

    def clusters(self, level: float = 0.95) -> list[tuple[list[int], list[int]]]:
        """Return groups of rows and columns that occur together, as far as the data distinguish them.

        A row and a column belong together if the lower end of their lift is above one, with `level` for all cells at
        once (Sidak 1967). Rows and columns that are linked through others form one group. Returns the indexes of the
        rows and of the columns of every group.
        """
        low, _ = self.confidence_interval(level ** (1 / self.joint.size))
        linked = np.nan_to_num(low, nan=-np.inf) > 1
        groups: list[tuple[list[int], list[int]]] = []
        left = set(np.flatnonzero(linked.any(axis=1)).tolist())
        while left:
            rows, columns = {min(left)}, set[int]()
            while True:
                found = set(np.flatnonzero(linked[sorted(rows)].any(axis=0)).tolist())
                more = set(np.flatnonzero(linked[:, sorted(found)].any(axis=1)).tolist())
                if found == columns and more == rows:
                    break
                rows, columns = more, found
            groups.append((sorted(rows), sorted(columns)))
            left -= rows
        return groups


def lifts(
    question: Question | Mechanism,
    tally: Tally,
    cells: Sequence[Sequence[Sequence[int]]],
    population: Population = "customers",
) -> Lifts:
    """Estimate the lift of every cell of a table.

    cells: for every row and column, the indexes of the values of the domain that are in the cell. Raises EstimateError
    if there is no report, or if a value is in no cell or in two.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> tally = Tally.of({0: 900, 1: 500, 2: 400, 3: 1_200})
    >>> found = lifts(Direct(4, Weights.of(2.0)), tally, [[[0], [1]], [[2], [3]]])
    >>> low, high = found.confidence_interval()
    >>> print(f"{found.estimate[0, 0]:.2f} ({low[0, 0]:.2f} to {high[0, 0]:.2f})", found.clusters())
    1.90 (1.79 to 2.03) [([0], [0]), ([1], [1])]
    """
    table = ShareTable.of(question, tally, population)
    weights = np.zeros((len(cells), len(cells[0]), table.mechanism.domain))
    for i, row in enumerate(cells):
        for j, values in enumerate(row):
            weights[i, j, list(values)] += 1
    if not (weights.sum(axis=(0, 1)) == 1).all():
        raise EstimateError("every value must be in exactly one cell")
    count, width = weights.shape[:2]
    joint = weights.reshape(count * width, -1)
    margins = np.vstack([joint, weights.sum(axis=1), weights.sum(axis=0)])
    whole = table.covariance(margins)
    shares = margins @ table.shares
    covariance = np.empty((count, width, 3, 3))
    for i in range(count):
        for j in range(width):
            which = [i * width + j, count * width + i, count * width + count + j]
            covariance[i, j] = whole[np.ix_(which, which)]
    return Lifts(
        shares[: count * width].reshape(count, width),
        shares[count * width : count * width + count],
        shares[count * width + count :],
        covariance,
    )
