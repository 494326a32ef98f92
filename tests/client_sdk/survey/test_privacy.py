"""The one comparison of an epsilon with a ceiling."""

import math

import pytest

from hushtally.client_sdk.survey.privacy import within_ceiling


@pytest.mark.parametrize(
    ("epsilon", "ceiling"),
    [
        (0.1 + 0.1 + 0.1, 0.3),
        (3 * 0.1, 0.3),
        (sum([0.7] * 3_650), 2_555.0),
        (1.0, 1.0),
        (8, 10**400),
        (5.0, math.inf),
        (5.0, None),
    ],
)
def test_equality_is_allowed_whatever_the_rounding(epsilon, ceiling):
    assert within_ceiling(epsilon, ceiling)


@pytest.mark.parametrize(("epsilon", "ceiling"), [(0.3 + 1e-8, 0.3), (1.01, 1), (2_555.001, 2_555.0), (math.inf, 9.0)])
def test_more_is_not_allowed(epsilon, ceiling):
    assert not within_ceiling(epsilon, ceiling)
