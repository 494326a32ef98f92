"""Fetching a survey from its collector, for apps that do not bundle it."""

from __future__ import annotations

import json
from urllib.parse import quote

from hushtally.client_sdk.arguments import check_ceilings, check_named, check_timeout
from hushtally.client_sdk.canonical_json import sha256
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import MAX_SURVEY_BYTES, Transport
from hushtally.client_sdk.delivery.url import checked_url
from hushtally.client_sdk.errors import ClientError, SurveyError
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.survey import Survey


def fetch_survey(
    collector: str,
    id: str,
    version: int,
    *,
    digest: str | None = None,
    max_epsilon: float | None = None,
    max_lifetime_epsilon: float | None = None,
    timeout: float = 10.0,
    transport: Transport | None = None,
) -> Survey:
    """The survey that a collector serves, if it is the pinned one or stays under the app's ceilings.

    digest: the only one accepted; without it both ceilings must be given, as the collector could ask for anything. They
    are for this survey alone. Whoever runs the collector can serve another survey under the same version: it has
    another digest, costs a lifetime epsilon of its own, and waits for new consent. With keep_consent=True it does not
    wait; `Client`'s max_lifetime_epsilon bounds what all of them cost together.
    Raises ClientError when it cannot be had within `timeout` seconds, is another survey, or asks for too much.
    """
    if digest is None and (max_epsilon is None or max_lifetime_epsilon is None):
        raise ClientError("fetch_survey needs a digest to pin, or both max_epsilon and max_lifetime_epsilon")
    check_named(id, version)
    check_timeout(timeout)
    url = f"{checked_url(collector)}/v1/surveys/{quote(id, safe='')}/{version}"
    try:
        answer = (transport or HttpTransport()).request("GET", url, None, timeout, MAX_SURVEY_BYTES)
    except OSError as error:
        raise ClientError(f"{url} cannot be fetched: {describe_failure(error)}") from None
    if answer.status != 200:
        raise ClientError(f"{url} cannot be fetched: the collector answered with status {answer.status}")
    try:
        definition = json.loads(answer.body)["survey"]
        # before anything is made of it: what is not the pinned one is not even read
        served = sha256(definition)
        if digest is not None and served != digest:
            raise ClientError(f"{url} serves digest {served}, not the pinned {digest}")
        survey = Survey.from_resolved(definition)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SurveyError):
        raise ClientError(f"what {url} serves is not a survey") from None
    if (survey.id, survey.version) != (id, version):
        raise ClientError(f"{url} serves another survey: {survey.name}")
    if digest is not None and survey.digest != digest:
        raise ClientError(f"{url} serves a survey with the pinned digest that is not resolved")
    check_ceilings([survey], max_epsilon, max_lifetime_epsilon)
    return survey
