"""Pure: what is asked. The survey, its reader, questions, signals, rules, epochs and event vocabulary."""

from hushtally.client_sdk.survey.survey import Survey

__all__ = ["Survey"]
