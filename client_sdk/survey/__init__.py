"""Pure: what is asked. A survey, how it is read, its questions, signals, rules and epochs."""

from hushtally.client_sdk.survey.survey import Survey

__all__ = ["Survey"]
