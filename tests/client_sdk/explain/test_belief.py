"""The belief bound: its formula, and how it is written."""

import math

import pytest

from hushtally.client_sdk.explain.belief import belief_bound, describe_belief, format_belief


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 7.0])
def test_the_belief_bound_is_that_of_bayes(prior, epsilon):
    likelihood_ratio = math.exp(epsilon)
    assert belief_bound(prior, epsilon) == pytest.approx(
        prior * likelihood_ratio / (prior * likelihood_ratio + 1 - prior)
    )


@pytest.mark.parametrize(
    ("belief", "words"),
    [
        (0.2, "at most 20% sure"),
        (0.2001, "at most 21% sure"),
        (0.57, "at most 57% sure"),  # as a float slightly more than 57 hundredths
        (0.98, "at most 98% sure"),
        (0.98001, "at most 98.01% sure"),
        (0.9999, "at most 99.99% sure"),
        (0.99991, "practically certain"),
    ],
)
def test_a_belief_is_rounded_up_in_words(belief, words):
    assert describe_belief(belief) == words


def test_a_belief_near_certainty_has_no_more_digits():
    assert format_belief(0.99991) == "over 99.99%"
