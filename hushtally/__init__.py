"""hushtally: count how customers behave without holding anyone's behaviour. The front door: what an app imports."""

from typing import TYPE_CHECKING

from client_sdk import (
    BatchError,
    Client,
    ClientError,
    Explanation,
    Fault,
    HushtallyError,
    MechanismError,
    Problem,
    Receipt,
    RuleError,
    StateError,
    Status,
    Survey,
    SurveyError,
    SurveyStatus,
    fetch_survey,
)

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
