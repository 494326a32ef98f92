"""hushtally: count how customers behave without holding anyone's behaviour. The front door: what an app imports."""

from client_sdk import (
    BatchError,
    Client,
    ClientError,
    HushtallyError,
    MechanismError,
    RuleError,
    Survey,
    SurveyError,
)

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
