"""Whether 95% intervals hold the truth about the purchase log 95% of the time."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import binom

from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.tally import Tally
from hushtally.simulations.demo.purchases import load_customers
from hushtally.simulations.demo.replay import write_survey


def symbol_probabilities(mechanism):
    """Row v: the exact probability of every symbol when the truth is v."""
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
def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path, population, seeds):
    """Over the seeds and four questions, one interval each, 95% intervals hold the truth about 95% of the time.

    Every seed draws who answers which question (a quarter of all customers each), and the tally from the mechanism's
    own symbol probabilities. "customers": the truth of a population that they are a sample of, with replacement;
    "respondents": the truth of just those who answered.
    """
    survey = write_survey(tmp_path / "cdnow.toml", 1.0, date(2026, 11, 24))
    customers = load_customers()
    held = 0
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
            held += bool(found.low[segment] <= truth <= found.high[segment])
    # the intervals are independent of each other; true coverage .94 to .96 fails by chance 1 in 10^5 at most
    total = seeds * len(survey.asked)
    print(f"{held} of {total} intervals hold the truth ({population})")
    assert binom.ppf(5e-6, total, 0.94) <= held <= binom.ppf(1 - 5e-6, total, 0.96), f"{held} of {total}"
