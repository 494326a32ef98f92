"""The SDK that runs on a customer's device: standard library and pure-eval only."""

from client_sdk.client import Client
from client_sdk.errors import BatchError, ClientError, HushtallyError, MechanismError, RuleError, SurveyError
from client_sdk.survey import Survey

__all__ = [
    "BatchError",
    "Client",
    "ClientError",
    "HushtallyError",
    "MechanismError",
    "RuleError",
    "Survey",
    "SurveyError",
]
