"""Mechanisms are built from what a survey states, and described in the same terms."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import (
    NAMES,
    Affine,
    Direct,
    Optimized,
    Permanent,
    Projective,
    Rappor,
    Subset,
    Symmetric,
    Weights,
    build,
    describe,
)

Asked = tuple[str, dict[str, object], int, float, float | None]
RAPPOR: dict[str, object] = {"k": 32, "h": 1, "m": 64, "f": 0.5, "p": 0.25, "q": 0.75}

BUILT: list[tuple[Asked, object]] = [
    (("auto", {}, 16, 1.0, None), Subset(16, Weights.of(1.0), 4)),
    (("auto", {}, 16, 1, None), Subset(16, Weights.of(1.0), 4)),
    (("auto", {}, 16, 1.0, 2.0), Permanent(Subset(16, Weights.of(1.0), 4), Subset(16, Weights.of(2.0), 4))),
    (("direct", {}, 3, 1.0, 1.0), Permanent(Direct(3, Weights.of(1.0)), Direct(3, Weights.of(1.0)))),
    (("subset", {"w": 2}, 16, 1.0, None), Subset(16, Weights.of(1.0), 2)),
    (("affine", {}, 64, 1.0, None), Affine(64, Weights.of(1.0), 67, 18)),
    (("affine", {"r": 67, "w": 17}, 64, 1.0, None), Affine(64, Weights.of(1.0), 67, 17)),
    (("projective", {}, 4096, 0.5, None), Projective(4096, Weights.of(0.5), 3, 9)),
    (("sue", {}, 5, 1.0, None), Symmetric.of(5, 1.0)),
    (("oue", {}, 5, 1.0, 3.0), Permanent.of(Optimized.of(5, 1.0), 3.0)),
    (("rappor", RAPPOR, 9, 1.1, 2.2), Rappor(9, 32, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))),
    (("rappor", RAPPOR, 9, 1.1, None), Rappor(9, 32, 1, 64, Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))),
]


@pytest.mark.parametrize(("asked", "mechanism"), BUILT)
def test_a_mechanism_is_built_from_its_name_and_parameters(asked: Asked, mechanism: object) -> None:
    """A name alone gives the best member, parameters select a member, and epsilon_permanent adds memory."""
    assert build(*asked) == mechanism


@pytest.mark.parametrize("asked", [asked for asked, _ in BUILT])
def test_describe_and_build_are_inverse(asked: Asked) -> None:
    """A description survives JSON and builds an equal mechanism. No integer is too large for a JSON reader."""
    described = json.loads(json.dumps(describe(build(*asked))))
    again = build(str(described["name"]), described, *asked[2:])
    assert again == build(*asked)
    assert describe(again) == described

    def integers(value: object) -> list[int]:
        if isinstance(value, list):
            return [integer for part in value for integer in integers(part)]
        return [value] if isinstance(value, int) else []

    assert all(integer < 2**53 for value in described.values() for integer in integers(value))


def test_a_description_states_every_sampled_integer() -> None:
    """Weights of designs, coins of bits, and the numerator of gamma over 2^64 as a decimal string."""
    assert describe(build("affine", {}, 64, 1.0, 2.0)) == {
        "name": "affine",
        "r": 67,
        "w": 18,
        "symbols": 4422,
        "weights": [11674931554, 4294967296],
        "permanent_weights": [31735754293, 4294967296],
        "gamma": "9220284996075833350",
    }
    assert describe(build("oue", {}, 5, 1.0)) == {
        "name": "oue",
        "symbols": 32,
        "truth": [1, 2],
        "others": [4294967296, 15969898850],
    }
    assert describe(build("rappor", RAPPOR, 9, 1.1)) == {
        "name": "rappor",
        **RAPPOR,
        "symbols": 2**38,
        "permanent_set": [3, 4],
        "permanent_unset": [1, 4],
        "set": [3, 4],
        "unset": [1, 4],
    }


REFUSED: list[tuple[Asked, str]] = [
    (("guess", {}, 4, 1.0, None), f"mechanism must be one of {', '.join(NAMES)}, got 'guess'"),
    (("auto", {}, 1, 1.0, None), "a question must have 2 to 65,536 segments, got 1"),
    (("auto", {}, 2**40, 1.0, None), "a question must have 2 to 65,536 segments, got 1,099,511,627,776"),
    (("auto", {}, 4, 80.0, None), "epsilon must be between 0.01 and 8, got 80.0"),
    (("auto", {}, 4, 0.0, None), "epsilon must be between 0.01 and 8, got 0.0"),
    (("auto", {}, 4, float("nan"), None), "epsilon must be between 0.01 and 8, got nan"),
    (("auto", {}, 4, 1.0, 9.0), "epsilon_permanent must be between 0.01 and 8, got 9.0"),
    (("auto", {}, 4, 1.0, 0.5), "epsilon_permanent must be at least epsilon = 1, got 0.5"),
    (("auto", {"w": 4}, 16, 1.0, None), "auto takes no parameters, got 'w'"),
    (("direct", {"w": 4}, 16, 1.0, None), "direct takes no parameters, got 'w'"),
    (("sue", {"f": 0.5}, 16, 1.0, None), "sue takes no parameters, got 'f'"),
    (("affine", {"window": 4}, 16, 1.0, None), "affine takes r, w, got 'window'"),
    (("affine", {"r": 17}, 16, 1.0, None), "affine needs the parameters r, w; w is missing"),
    (("affine", {"r": 17, "w": "5"}, 16, 1.0, None), "w of affine must be an integer, got '5'"),
    (("affine", {"r": 17.0, "w": 5}, 16, 1.0, None), "r of affine must be an integer, got 17.0"),
    (("subset", {"w": True}, 16, 1.0, None), "w of subset must be an integer, got True"),
    (
        ("subset", {}, 100, 0.25, None),
        "subset may have at most 9,007,199,254,740,991 symbols, but 100 segments at w = 43 give "
        "38,116,532,895,986,727,945,334,202,400; use affine or auto",
    ),
    (("sue", {}, 64, 1.0, None), "sue accepts at most 52 segments, got 64; use auto"),
    (
        ("affine", {"r": 17, "w": 5, "symbols": 271}, 16, 1.0, None),
        "symbols of affine must be the derived value 272, got 271; leave symbols out to derive it",
    ),
    (
        ("direct", {"weights": [1, 1]}, 3, 1.0, None),
        "weights of direct must be the derived value [11674931554, 4294967296], got [1, 1]; leave",
    ),
    (("direct", {"gamma": "1"}, 3, 1.0, None), "direct takes no parameters, got 'gamma'"),
    (("rappor", {}, 16, 1.0, None), "rappor needs the parameters k, h, m, f, p, q; k is missing"),
    (("rappor", {"k": 8, "h": 1, "m": 1, "f": 0.5, "p": 0.25}, 16, 1.0, None), "k, h, m, f, p, q; q is missing"),
    (("rappor", RAPPOR | {"h": 1.5}, 16, 1.0, None), "h of rappor must be an integer, got 1.5"),
    (("rappor", RAPPOR | {"f": "half"}, 16, 1.0, None), "f of rappor must be a number, got 'half'"),
    (("rappor", RAPPOR | {"f": float("inf")}, 16, 1.0, None), "f of rappor must be a number, got inf"),
    (("rappor", RAPPOR | {"f": True}, 16, 1.0, None), "f of rappor must be a number, got True"),
    (("rappor", RAPPOR | {"cohorts": 64}, 16, 1.1, None), "rappor takes k, h, m, f, p, q, got 'cohorts'"),
    (
        ("rappor", RAPPOR, 16, 1.0, None),
        "epsilon must be at least 1.02165, which follows from the parameters of rappor, got 1; "
        "declare epsilon = 1.0217, or increase f or decrease h",
    ),
    (
        ("rappor", RAPPOR, 16, 1.1, 2.0),
        "epsilon_permanent must be at least 2.19722, which follows from the parameters of rappor, got 2; "
        "declare epsilon_permanent = 2.1973, or increase f or decrease h",
    ),
    (
        ("rappor", RAPPOR | {"f": 0.005, "h": 2}, 16, 8.0, 8.0),
        "epsilon_permanent must be at least 23.9558, which follows from the parameters of rappor, got 8; "
        "the maximum is 8, so increase f or decrease h",
    ),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_an_invalid_request_is_refused(asked: Asked, message: str) -> None:
    """One line states the requirement, the given value and, if possible, a value that works."""
    with pytest.raises(MechanismError) as caught:
        build(*asked)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_suggested_epsilons_are_accepted() -> None:
    """The messages above suggest these epsilons for RAPPOR."""
    assert build("rappor", RAPPOR, 16, 1.0217, 2.1973).name == "rappor"
