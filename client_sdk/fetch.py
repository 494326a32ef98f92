"""Fetching a survey from its collector, for apps that do not bundle the survey."""

from __future__ import annotations

import json
from functools import partial
from typing import Never
from urllib.parse import quote

from hushtally.client_sdk import calls
from hushtally.client_sdk.arguments import check_ceilings, check_survey_name, check_timeout
from hushtally.client_sdk.canonical_json import sha256
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import MAX_SURVEY_BYTES, NoResponse, Transport
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
    """Fetch a survey from its collector; accept only the pinned survey, or one within the app's ceilings.

    Args:
        collector: The URL of the collector.
        id: The id of the survey.
        version: The version of the survey.
        digest: The digest of the only survey to accept. Without it both ceilings are required, because the collector
            could serve anything.
        max_epsilon: The most epsilon that one report of this survey may cost.
        max_lifetime_epsilon: The most epsilon that all reports of this survey may cost together.
        timeout: The number of seconds after which the call fails.
        transport: A replacement for the network. For tests.

    Raises:
        ClientError: The survey cannot be fetched in time, is another survey, or exceeds a ceiling.

    Without a pinned digest, the collector can serve another survey under the same version. That survey has another
    digest and its own lifetime epsilon, and it waits for new consent. With keep_consent=True it does not wait; then
    `Client`'s max_lifetime_epsilon limits what all surveys cost together.
    """
    if digest is None and (max_epsilon is None or max_lifetime_epsilon is None):
        raise ClientError("fetch_survey needs a digest to pin, or both max_epsilon and max_lifetime_epsilon")
    check_survey_name(id, version)
    check_timeout(timeout)
    url = f"{checked_url(collector)}/v1/surveys/{quote(id, safe='')}/{version}"
    request = partial((transport or HttpTransport()).request, "GET", url, None, timeout, MAX_SURVEY_BYTES)
    try:
        answer = calls.run(request, _refuse)
    except OSError as error:
        raise ClientError(f"{url} cannot be fetched: {describe_failure(error)}") from None
    if answer.status != 200:
        raise ClientError(f"{url} cannot be fetched: the collector answered with status {answer.status}")
    survey = _parse(answer.body, url, digest)
    if (survey.id, survey.version) != (id, version):
        raise ClientError(f"{url} serves another survey: {survey.name}")
    if digest is not None and survey.digest != digest:
        raise ClientError(f"{url} serves a survey with the pinned digest that is not resolved")
    check_ceilings([survey], max_epsilon, max_lifetime_epsilon)
    return survey


def _refuse() -> Never:
    raise NoResponse("another call of a client is running on this thread")


def _parse(body: bytes, url: str, digest: str | None) -> Survey:
    try:
        definition = json.loads(body)["survey"]
        served = sha256(definition)  # compared first: a survey that is not the pinned one is not even parsed
        if digest is not None and served != digest:
            raise ClientError(f"{url} serves digest {served}, not the pinned {digest}")
        return Survey.from_resolved(definition)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SurveyError):
        raise ClientError(f"{url} does not serve a survey") from None
