from fractions import Fraction

import numpy as np
import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.channel import Channel

CHANNELS = [
    Channel(Fraction(3, 4), Fraction(1, 4)),
    Channel(Fraction(1, 2), Fraction(1, 10**6)),
    Channel(Fraction(999, 1000), Fraction(998, 1000)),
]


@pytest.mark.parametrize(
    ("p", "q", "shown"),
    [
        (0.5, 0.5, "p = 0.5, q = 0.5"),
        (0.25, 0.75, "p = 0.25, q = 0.75"),
        (1.0, 0.5, "p = 1.0, q = 0.5"),
        (0.5, 0.0, "p = 0.5, q = 0.0"),
        (0.5, -0.25, "p = 0.5, q = -0.25"),
        (1.5, 0.5, "p = 1.5, q = 0.5"),
        (float("nan"), 0.5, "p = nan, q = 0.5"),
        (0.5, float("nan"), "p = 0.5, q = nan"),
        (Fraction(1, 3), Fraction(1, 3), "p = 1/3, q = 1/3"),
    ],
)
def test_a_channel_without_information_or_without_noise_is_refused(p, q, shown):
    """p and q must be probabilities with 0 < q < p < 1."""
    with pytest.raises(MechanismError) as caught:
        Channel(p, q)
    assert str(caught.value) == f"a channel needs 0 < q < p < 1, got {shown}"


@pytest.mark.parametrize("channel", CHANNELS)
def test_debias_inverts_the_channel(channel):
    """The mean of debias is exactly the share of devices that have the value."""
    for share in (Fraction(0), Fraction(1, 7), Fraction(1)):
        expected = channel.p * share + channel.q * (1 - share)
        assert channel.observed(share) == expected
        assert channel.share(expected) == share
        assert channel.debias(expected * 1000, 1000) == share


def test_an_estimate_is_not_clipped():
    """A support rate below q gives a negative share, and a rate above p gives a share above 1. Clipping would bias."""
    channel = CHANNELS[0]
    assert channel.debias(0, 8) == Fraction(-1, 2)
    assert channel.debias(8, 8) == Fraction(3, 2)


@pytest.mark.parametrize("channel", CHANNELS)
def test_both_variances_equal_those_of_the_debiased_count(channel):
    """Enumerates 3 devices: as a sample of a population, and as the whole population."""
    share = Fraction(1, 3)
    rate = channel.observed(share)
    sampled = [rate] * 3
    respondents = [channel.p, channel.q, channel.q]
    for rates, variance in (
        (sampled, channel.variance(share, 3)),
        (respondents, channel.respondents_variance(share, 3)),
    ):
        mean = square = Fraction(0)
        for outcome in range(8):
            bits = [outcome >> index & 1 for index in range(3)]
            probability = Fraction(1)
            for bit, rate_of_one in zip(bits, rates, strict=True):
                probability *= rate_of_one if bit else 1 - rate_of_one
            estimate = channel.debias(Fraction(sum(bits)), 3)
            mean += probability * estimate
            square += probability * estimate**2
        assert mean == share
        assert variance == square - mean**2
    assert channel.respondents_variance(share, 3) < channel.variance(share, 3)


def test_two_consecutive_channels_are_one_channel():
    """`then` feeds the bit of the first channel into the second, whether the value is true or not."""
    first, one, zero = CHANNELS[0], Fraction(9, 10), Fraction(1, 5)
    both = first.then(one, zero)
    for truth, probability in ((1, both.p), (0, both.q)):
        rate = first.observed(truth)
        assert probability == rate * one + (1 - rate) * zero


def test_a_mixed_channel_loses_gain_to_the_background():
    """Without background symbols the channel is unchanged. Otherwise the gain shrinks in proportion."""
    channel = CHANNELS[0]
    assert channel.mixed(1, Fraction(1, 2)) == channel
    half = channel.mixed(Fraction(1, 2), Fraction(1, 3))
    assert half.gain == channel.gain / 2
    assert half.q == channel.q / 2 + Fraction(1, 6)


def test_every_method_takes_arrays():
    """An array gives, element by element, the same results as numbers."""
    channel = CHANNELS[0].to_float()
    counts, totals = np.array([0, 5, 8]), np.array([8, 8, 16])
    shares = channel.debias(counts, totals)
    assert shares.tolist() == [channel.debias(int(c), int(n)) for c, n in zip(counts, totals, strict=True)]
    for figure in (channel.variance, channel.respondents_variance):
        assert figure(shares, totals).tolist() == [
            figure(float(s), int(n)) for s, n in zip(shares, totals, strict=True)
        ]
    assert isinstance(channel.p, float)
