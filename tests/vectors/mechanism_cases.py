"""Cases for mechanisms: what surveys ask for, valid or not. generate.py computes the expected values."""

from __future__ import annotations

from typing import Any

from hushtally.client_sdk.mechanisms import NAMES

RAPPOR = {"k": 32, "h": 1, "m": 64, "f": 0.5, "p": 0.25, "q": 0.75}
TWO_HASHES = {"k": 8, "h": 2, "m": 1, "f": 0.25, "p": 0.1, "q": 0.999999999}

# for every mechanism: parameters, domain, epsilon, epsilon_permanent
VALID: dict[str, list[tuple[dict[str, Any], int, float, float | None]]] = {
    "auto": [
        ({}, domain, epsilon, permanent)
        for domain in (2, 8, 16, 25, 64, 1024, 16384)
        for epsilon, permanent in ((0.25, None), (1.0, None), (4.0, None), (1.0, 2.0))
    ]
    + [({}, 115, 3.32, None), ({}, 2000, 1.04, None), ({}, 1001, 6.0, 7.0)],
    "direct": [({}, 2, 1.0, None), ({}, 16, 4.0, None), ({}, 65536, 0.01, None), ({}, 3, 1.0, 2.0)],
    "subset": [({}, 16, 1.0, None), ({"w": 1}, 3, 8.0, None), ({"w": 26}, 52, 0.25, None), ({"w": 3}, 8, 0.5, 2.0)],
    "affine": [
        ({}, 64, 1.0, None),
        ({"r": 2, "w": 1}, 2, 1.0, None),
        ({"r": 1031, "w": 451}, 1024, 0.25, 1.0),
        ({"r": 121, "w": 15}, 115, 2.0, None),
        ({"r": 9, "w": 2}, 9, 1.0, 2.0),
        ({"r": 2, "w": 1, "t": 2}, 4, 1.0, None),
        ({"r": 29, "w": 12, "t": 3}, 16384, 0.35, 1.0),
        ({"r": 49, "w": 7}, 49, 2.0, None),
    ],
    "projective": [
        ({}, 4096, 0.5, None),
        ({"r": 2, "t": 15}, 16384, 0.25, None),
        ({"r": 53, "t": 4}, 16384, 4.0, None),
        ({"r": 3, "t": 3}, 13, 1.0, 2.0),
    ],
    "sue": [({}, 4, 1.0, None), ({}, 52, 2.0, None), ({}, 4, 1.0, 3.0), ({}, 3, 0.041, None)],
    "oue": [({}, 4, 1.0, None), ({}, 52, 2.0, None), ({}, 4, 1.0, 3.0)],
    "rappor": [(RAPPOR, 100, 1.1, 2.2), (RAPPOR, 100, 1.1, None), (TWO_HASHES, 6, 8.0, 8.0)],
}
INVALID: dict[str, list[tuple[dict[str, Any], int, float, float | None]]] = {
    "auto": [
        ({}, 1, 1.0, None),
        ({}, 2**40, 1.0, None),
        ({}, 4, 0.001, None),
        ({}, 4, 9.0, None),
        ({"w": 2}, 9, 1.0, None),
    ],
    "direct": [({"symbols": 4}, 3, 1.0, None), ({}, 3, 2.0, 1.0), ({}, 3, 2.0, 80.0)],
    "subset": [
        ({}, 400, 1.0, None),
        ({"w": 16}, 16, 1.0, None),
        ({"w": 0}, 16, 1.0, None),
        ({"w": 2.5}, 16, 1.0, None),
    ],
    "affine": [
        ({"r": 15, "w": 4}, 10, 1.0, None),
        ({"r": 7, "w": 2}, 8, 1.0, None),
        ({"r": 7}, 7, 1.0, None),
        ({"r": 5, "w": 2, "t": 2}, 26, 1.0, None),
        ({"r": 9, "w": 2, "t": 2}, 26, 1.0, None),
        ({"r": 7, "w": 2, "t": 1}, 7, 1.0, None),
    ],
    "projective": [
        ({"r": 4, "t": 3}, 8, 1.0, None),
        ({"r": 2, "t": 3}, 8, 1.0, None),
        ({"r": 2, "t": 27}, 8, 1.0, None),
    ],
    "sue": [({}, 53, 1.0, None), ({"f": 0.5}, 5, 1.0, None)],
    "oue": [({}, 53, 1.0, None)],
    "rappor": [
        ({}, 9, 1.0, None),
        (RAPPOR, 9, 1.0, None),
        (RAPPOR, 9, 1.1, 2.0),
        (RAPPOR | {"f": 0}, 9, 1.1, None),
        (RAPPOR | {"f": 0.1234567891}, 9, 8.0, None),
        (RAPPOR | {"k": 48}, 9, 1.1, None),
        (RAPPOR | {"cohorts": 64}, 9, 1.1, None),
    ],
}
SURVEY = """
id = "vector"
version = 1
title = "What people like best – naïve: ½ \U0001f3b5"
purpose = "To fix the digest."
owner = "vectors"
starts = 2026-11-02
ends = 2027-05-02
{}
[privacy]
epsilon = 1.1
{}
[cohorts]
platform = ["web", "ios"]

[signals]
favourite = {{ top = "purchase.category", days = 90 }}
orders = {{ count = "purchase", days = 90 }}

[[questions]]
id = "affinity"
one_of = "favourite"
categories = ["books", "music", "games", "\u00e9t\u00e9"]
mechanism = {}

[[questions]]
id = "orders"
number = "orders / 2"
edges = [1e-7, 0.5, 1, 10]
"""
MECHANISMS = {name: f'"{name}"' for name in NAMES if name != "rappor"} | {
    "rappor": '{ name = "rappor", k = 32, h = 1, m = 64, f = 0.5, p = 0.25, q = 0.75 }'
}
MISTAKES = [
    ("epsilon = 1.1", "epsilon = 80"),
    ("epsilon = 1.1", "epsilon = nan"),
    ("epsilon = 1.1", "epsilon = 1.1\nmemory = 'permanent'"),
    ("epsilon = 1.1", "epsilon = 1.1\nsalt = 1"),
    ("edges = [1e-7", "edges = [3"),
    ("2026-11-02", "2026-11-03"),
    ("orders / 2", "orders ** 2"),
]
REPEATED = (4, 8)  # numbers of values, for permanent memory next to gamma
BELOW = (1, 2, 3, 10, 2**32, 2**33 + 1, 2**64 - 1, 2**64, 2**64 + 1, 10**30)
# the last ones need more digits than a double has, and the decimal instead of the double
EPSILONS = (0.01, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 6.657, 6.738, 6.759, 7.348, 7.785, 7.897, 7.954)
