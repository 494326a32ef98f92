"""95% intervals contain the true shares of the purchase log 95% of the time."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import binom

from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.tally import Tally
from hushtally.simulations.demo.purchases import load_customers
from hushtally.simulations.demo.survey import write_survey


def symbol_probabilities(mechanism):
    """Row v: the exact probability of every symbol if the true value is v."""
    supports = np.array(
        [
            [mechanism.supports(symbol, value) for symbol in range(mechanism.symbols)]
            for value in range(mechanism.domain)
        ]
    )
    weights = np.where(supports, mechanism.weights.near, mechanism.weights.far)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seeds", [200, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("population", ["customers", "respondents"])
def test_95_percent_intervals_contain_the_true_share_95_percent_of_the_time(tmp_path, population, seeds):
    """One interval for each seed and each of four questions.

    Each seed draws the quarter of the customers that answers a question, and the tally from the exact probabilities of
    the symbols. "customers": the respondents are a sample with replacement, and the true share is that of all
    customers. "respondents": the true share is that of the respondents.
    """
    survey = write_survey(tmp_path / "cdnow.toml", 1.0, date(2026, 11, 24))
    customers = load_customers()
    covering = 0
    for number, question in enumerate(survey.asked):
        values = np.array([question.segments.index(customer.segments[question.id]) for customer in customers])
        probabilities = symbol_probabilities(question.mechanism)
        for seed in range(seeds):
            random = np.random.default_rng([20_261_124, number, seed])
            answering = random.choice(values, len(values) // len(survey.asked), replace=True)
            counts = np.bincount(answering, minlength=question.mechanism.domain)
            tally = Tally.of(
                np.arange(question.mechanism.symbols), random.multinomial(counts, probabilities).sum(axis=0)
            )
            found = estimate(question, tally, population=population)
            true = np.bincount(values if population == "customers" else answering, minlength=len(found.low))
            segment = random.integers(len(found.low))
            truth = true[segment] / true.sum()
            covering += bool(found.low[segment] <= truth <= found.high[segment])
    # the intervals are independent; a true coverage from .94 to .96 fails by chance at most 1 in 10^5
    total = seeds * len(survey.asked)
    print(f"{covering} of {total} intervals contain the true share ({population})")
    assert binom.ppf(5e-6, total, 0.94) <= covering <= binom.ppf(1 - 5e-6, total, 0.96), f"{covering} of {total}"
