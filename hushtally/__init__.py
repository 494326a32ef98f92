"""Measures how customers behave without storing anyone's behaviour. Apps import everything they need from here.

Each name is loaded when it is first used, so that `import hushtally` costs an app almost nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hushtally.client_sdk.async_client import AsyncClient
    from hushtally.client_sdk.client import Client
    from hushtally.client_sdk.device.embedding import Fault
    from hushtally.client_sdk.errors import ClientError, HushtallyError, Problem, SurveyError
    from hushtally.client_sdk.explain.explanation import Explanation, Section
    from hushtally.client_sdk.explain.status import Status, SurveyStatus
    from hushtally.client_sdk.fetch import fetch_survey
    from hushtally.client_sdk.gateway import Gateway, GatewayDevice
    from hushtally.client_sdk.state.consent import Receipt
    from hushtally.client_sdk.survey import Survey

# In a checkout without symbolic links (git with core.symlinks=false), the parts are beside this folder, not inside it.
if not os.path.isdir(f"{__path__[0]}/client_sdk"):  # noqa: PTH112  (pathlib would slow down every import)
    __path__.append(os.path.dirname(__path__[0]))  # noqa: PTH120

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Explanation",
    "Fault",
    "Gateway",
    "GatewayDevice",
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

_MODULES = {
    "AsyncClient": "async_client",
    "Client": "client",
    "ClientError": "errors",
    "Explanation": "explain.explanation",
    "Fault": "device.embedding",
    "Gateway": "gateway",
    "GatewayDevice": "gateway",
    "HushtallyError": "errors",
    "Problem": "errors",
    "Receipt": "state.consent",
    "Section": "explain.explanation",
    "Status": "explain.status",
    "Survey": "survey",
    "SurveyError": "errors",
    "SurveyStatus": "explain.status",
    "fetch_survey": "fetch",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"hushtally.client_sdk.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
