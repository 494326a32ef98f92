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
def test_a_channel_that_tells_nothing_or_all_is_refused(p, q, shown):
    """p and q must be probabilities with 0 < q < p < 1."""
    with pytest.raises(MechanismError) as caught:
        Channel(p, q)
    assert str(caught.value) == f"a channel needs 0 < q < p < 1, got {shown}"


@pytest.mark.parametrize("channel", CHANNELS)
def test_debias_inverts_the_channel(channel):
    """The mean of debias is the truth, exactly: of n devices of whom a share holds the value."""
    for share in (Fraction(0), Fraction(1, 7), Fraction(1)):
        expected = channel.p * share + channel.q * (1 - share)
        assert channel.observed(share) == expected
        assert channel.share(expected) == share
        assert channel.debias(expected * 1000, 1000) == share


def test_an_estimate_is_not_clipped():
    """Support below q gives a negative share, support above p one above 1: clipping would bias the mean."""
    channel = CHANNELS[0]
    assert channel.debias(0, 8) == Fraction(-1, 2)
    assert channel.debias(8, 8) == Fraction(3, 2)


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_variances_are_those_of_the_counts(channel):
    """Variance of the debiased count by enumeration of 3 devices: sampled ones, and just these ones."""
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
            chance = Fraction(1)
            for bit, one in zip(bits, rates, strict=True):
                chance *= one if bit else 1 - one
            estimate = channel.debias(Fraction(sum(bits)), 3)
            mean += chance * estimate
            square += chance * estimate**2
        assert mean == share
        assert variance == square - mean**2
    assert channel.respondents_variance(share, 3) < channel.variance(share, 3)


def test_two_channels_in_a_row_are_one():
    """`then` sends the bit of the first on by the chances of the second, whether the truth supports or not."""
    first, one, zero = CHANNELS[0], Fraction(9, 10), Fraction(1, 5)
    both = first.then(one, zero)
    for truth, chance in ((1, both.p), (0, both.q)):
        came = first.observed(truth)
        assert chance == came * one + (1 - came) * zero


def test_a_diluted_channel_mixes_in_the_background():
    """With all kept nothing changes; otherwise the gain shrinks by what is kept."""
    channel = CHANNELS[0]
    assert channel.diluted(1, Fraction(1, 2)) == channel
    half = channel.diluted(Fraction(1, 2), Fraction(1, 3))
    assert half.gain == channel.gain / 2
    assert half.q == channel.q / 2 + Fraction(1, 6)


def test_every_figure_takes_arrays():
    """Arrays give element by element what numbers give."""
    channel = CHANNELS[0].to_float()
    counts, totals = np.array([0, 5, 8]), np.array([8, 8, 16])
    shares = channel.debias(counts, totals)
    assert shares.tolist() == [channel.debias(int(c), int(n)) for c, n in zip(counts, totals, strict=True)]
    for figure in (channel.variance, channel.respondents_variance):
        assert figure(shares, totals).tolist() == [
            figure(float(s), int(n)) for s, n in zip(shares, totals, strict=True)
        ]
    assert isinstance(channel.p, float)
