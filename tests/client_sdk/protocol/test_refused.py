"""The kinds of refusal: their codes, their URIs, and which of them are retryable."""

from __future__ import annotations

import pytest

from hushtally.client_sdk.protocol.refused import Refused


def test_the_kinds_and_their_statuses_are_those_of_the_protocol() -> None:
    """docs/protocol.md lists them. Devices and collectors of different versions rely on them."""
    assert {kind.code: (kind.status, kind.retryable) for kind in Refused} == {
        "malformed": (400, False),
        "too_large": (413, False),
        "unsupported_content": (415, False),
        "unknown_survey": (422, True),
        "unavailable": (503, True),
    }


@pytest.mark.parametrize("kind", Refused)
def test_a_uri_identifies_its_kind(kind: Refused) -> None:
    assert kind.type == f"urn:hushtally:{kind.code}"
    assert Refused.of_type(kind.type) is kind


@pytest.mark.parametrize("uri", ["urn:hushtally:", "urn:hushtally:other", "malformed", "", None, 7, [], {}])
def test_another_uri_is_no_kind(uri: object) -> None:
    assert Refused.of_type(uri) is None
