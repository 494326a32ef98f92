"""The SDK that runs on a customer's device: standard library and pure-eval only."""

from typing import TYPE_CHECKING

from client_sdk.client import Client, Fault
from client_sdk.consent import Receipt
from client_sdk.errors import (
    BatchError,
    ClientError,
    HushtallyError,
    MechanismError,
    Problem,
    RuleError,
    StateError,
    SurveyError,
)
from client_sdk.explain import Explanation
from client_sdk.fetch import fetch_survey
from client_sdk.status import Status, SurveyStatus
from client_sdk.survey import Survey

if TYPE_CHECKING:
    from client_sdk.aio import AsyncClient

__all__ = [
    "AsyncClient",
    "BatchError",
    "Client",
    "ClientError",
    "Explanation",
    "Fault",
    "HushtallyError",
    "MechanismError",
    "Problem",
    "Receipt",
    "RuleError",
    "StateError",
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
