"""Canonical JSON: compared with a reference implementation of RFC 8785."""

import hashlib
import random
import struct

import pytest
import rfc8785

from hushtally.client_sdk.canonical_json import canonical_json, sha256

ALPHABET = 'aZ09 "\\/\b\f\n\r\t\x00\x1f\x7f\x80é€\u2028\ufb33\U0001f600\U0010ffff'
BOUNDARIES = [
    0.0, -0.0, 1e-7, 9.99e-7, 1e-6, 1.5e-6, 1e-5, 1.25e-5, 0.0001, 0.1, 0.1 + 0.2, 1 / 3, -1e-7, -1.5e-7, -1e-6,
    5e-324, 2.2250738585072014e-308, 1e15, 1e15 + 0.5, 2.0**53 - 1, -(2.0**53) + 1, 1e-323, 123456789.125,
]  # fmt: skip


def any_float(source: random.Random) -> float:
    while True:
        bits = struct.unpack("d", source.randbytes(8))[0]
        value = source.choice([bits, source.uniform(-1, 1) * 10.0 ** source.randint(-30, 15), round(bits % 1, 3)])
        if abs(value) < 2**53:
            return value


def any_text(source: random.Random) -> str:
    return "".join(source.choices(ALPHABET, k=source.randint(0, 6)))


def any_value(source: random.Random, depth: int = 0):
    kind = source.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.randint(-(2**53) + 1, 2**53 - 1) >> source.randrange(54)
    if kind in (2, 3):
        return any_float(source)
    if kind == 4:
        return any_text(source)
    if kind == 5:
        return [any_value(source, depth + 1) for _ in range(source.randint(0, 4))]
    return {any_text(source): any_value(source, depth + 1) for _ in range(source.randint(0, 5))}


def test_canonical_json_equals_rfc_8785():
    """For floats of all magnitudes, control characters, characters beyond 16 bits, and keys in UTF-16 order."""
    source = random.Random(8785)
    for _ in range(5000):
        value = any_value(source)
        assert canonical_json(value).encode() == rfc8785.dumps(value), value


@pytest.mark.parametrize("value", BOUNDARIES)
def test_numbers_at_the_limits_of_notation(value):
    """ECMAScript and Python switch to exponents at different numbers."""
    assert canonical_json(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "number", [2**53, -(2**53), 2.0**53, 1e16, 1e21, 9.99e20, -1e22, 10**400, 1.7e308, float("inf"), float("nan")]
)
def test_a_number_that_some_parsers_round_is_refused(number):
    """Also deep inside a value."""
    for value in (number, -number, [number], {"a": [number]}):
        with pytest.raises(ValueError, match=r"^a number in canonical JSON must be within \+-\(2\^53 - 1\)$"):
            canonical_json(value)


def test_keys_are_in_utf_16_order():
    """A key beyond 16 bits comes before one of the private use area, as in the example of RFC 8785."""
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2, "z": 3}) == '{"z":3,"\U0001f600":2,"\ufb33":1}'


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1, "b": 2.0}, {"b": 2, "a": 1.0}), ([1, "x"], (1, "x")), (-0.0, 0), ({"a": ()}, {"a": []})],
)
def test_equal_values_have_equal_digests(one, other):
    """The order of keys, tuple or list, and 1 or 1.0 do not matter."""
    assert sha256(one) == sha256(other)


def test_the_digest_is_the_sha_256_of_the_utf_8_string():
    """Any tool can compute it: this one is `printf '{"é":1}' | sha256sum`."""
    assert sha256({"é": 1}) == hashlib.sha256(b'{"\xc3\xa9":1}').hexdigest()


def test_a_lone_surrogate_has_no_digest():
    """It cannot be encoded as UTF-8."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        sha256(["\ud800"])
