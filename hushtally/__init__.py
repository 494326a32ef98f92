"""hushtally: count how customers behave without holding anyone's behaviour. The front door: what an app imports."""

from typing import TYPE_CHECKING

from client_sdk.client import Client, Fault
from client_sdk.consent import Receipt
from client_sdk.errors import ClientError, HushtallyError, Problem, SurveyError
from client_sdk.explain import Explanation, Section
from client_sdk.fetch import fetch_survey
from client_sdk.status import Status, SurveyStatus
from client_sdk.survey import Survey

if TYPE_CHECKING:
    from client_sdk.aio import AsyncClient

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Explanation",
    "Fault",
    "HushtallyError",
    "Problem",
    "Receipt",
    "Section",
    "Status",
    "Survey",
    "SurveyError",
    "SurveyStatus",
    "fetch_survey",
]


def __getattr__(name: str) -> object:
    # asyncio is slow to import: only who asks for the asynchronous client pays for it
    if name == "AsyncClient":
        from client_sdk.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
