"""Checks of the arguments that an app passes to a client, before anything is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from hushtally.client_sdk.clock import in_utc
from hushtally.client_sdk.errors import ClientError
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling


def checked_surveys(surveys: Survey | Iterable[Survey]) -> tuple[Survey, ...]:
    """Return the surveys; ClientError unless they are one Survey, or several with different ids."""
    if isinstance(surveys, Survey):
        return (surveys,)
    several = tuple(surveys) if isinstance(surveys, Iterable) and not isinstance(surveys, str | bytes) else None
    if several is None or not all(isinstance(survey, Survey) for survey in several):
        raise ClientError(
            f"surveys must be one or several Survey objects, as Survey.load returns them, got {surveys!r}"
        )
    if not several:
        raise ClientError("surveys must be at least one Survey, got none")
    if len({survey.id for survey in several}) < len(several):
        raise ClientError("surveys must have different ids; pass only the newer of two versions")
    return several


def check_state(state: object) -> None:
    """Raise ClientError unless this can be the path of a file."""
    path = os.path.expanduser(state) if isinstance(state, str | os.PathLike) else ""  # noqa: PTH111  (as in `State`)
    # a "~" that is left is the home of nobody; SQLite's URLs are not supported
    if not isinstance(path, str) or not path or path.startswith("~") or "\0" in path or "://" in path:
        raise ClientError(f"state must be the path of a file, got {state!r}")


def check_device(device: object) -> None:
    """Raise ClientError unless this is a string."""
    if not isinstance(device, str):
        raise ClientError(f"device must be a string, got {device!r}")


def check_flags(**flags: object) -> None:
    """Raise ClientError for a value that is neither True nor False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ClientError(f"{name} must be True or False, got {value!r}")


def checked_clock(clock: object) -> Callable[[], datetime]:
    """Return the clock in UTC; ClientError unless it returns a datetime with a time zone. The clock is read once."""
    if not callable(clock):
        raise ClientError(f"clock must be a function that returns the time, got {clock!r}")
    checked = in_utc(clock)
    try:
        checked()
    except ClientError:
        raise
    except Exception as error:
        raise ClientError(f"clock must be a function that returns the time; it raised {type(error).__name__}") from None
    return checked


def check_dependencies(on_error: object, randomness: object, transport: object) -> None:
    """Raise ClientError unless each of these can do its work."""
    if on_error is not None and not callable(on_error):
        raise ClientError(f"on_error must be a function that takes a Fault, or None, got {on_error!r}")
    if randomness is not None and not isinstance(randomness, Randomness):
        raise ClientError(f"randomness must be a Randomness, or None, got {randomness!r}")
    if transport is not None and not callable(getattr(transport, "request", None)):
        raise ClientError(f"transport must have a method `request`, or be None, got {transport!r}")


def check_ceilings(surveys: Iterable[Survey], max_epsilon: float | None, max_lifetime_epsilon: float | None) -> None:
    """Raise ClientError for a ceiling that is not a number above 0, and for a survey that exceeds a ceiling."""
    for name, value in (("max_epsilon", max_epsilon), ("max_lifetime_epsilon", max_lifetime_epsilon)):
        if value is not None and not _is_positive(value):
            raise ClientError(f"{name} must be a number above 0, or None, got {value!r}")
    for survey in surveys:
        for question in survey.asked:
            if not within_ceiling(question.epsilon, max_epsilon):
                raise ClientError(
                    f"{survey.name} asks question {question.id!r} with epsilon {question.epsilon:.10g}, but the app"
                    f" allows at most max_epsilon = {max_epsilon:.10g}"
                )
        if not within_ceiling(survey.lifetime_epsilon, max_lifetime_epsilon):
            raise ClientError(
                f"{survey.name} has a lifetime epsilon of {survey.lifetime_epsilon:.10g}, but the app allows at most"
                f" max_lifetime_epsilon = {max_lifetime_epsilon:.10g}"
            )


def check_survey_name(id: object, version: object) -> None:
    """Raise ClientError unless these can be the id and the version of a survey."""
    if not isinstance(id, str):
        raise ClientError(f"id must be a string, got {id!r}")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ClientError(f"version must be a whole number, got {version!r}")


def check_timeout(timeout: object) -> None:
    """Raise ClientError unless this is a number of seconds above 0."""
    if not _is_positive(timeout):
        raise ClientError(f"timeout must be a number of seconds above 0, got {timeout!r}")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def check_keep_consent(keep_consent: bool, max_lifetime_epsilon: float | None) -> None:
    """Raise ClientError if consent covers later versions without a ceiling: each version may spend its own epsilon."""
    if keep_consent and max_lifetime_epsilon is None:
        raise ClientError(
            "keep_consent=True needs max_lifetime_epsilon, the most that a customer who is not asked again may spend"
        )


def checked_cohorts(surveys: Sequence[Survey], cohort: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Return the cohort of each survey; empty if the app leaves it to the state file.

    ClientError if a value is missing, not declared, or of no survey's cohort.
    """
    if cohort is None:
        return [{} for _ in surveys]
    if not isinstance(cohort, Mapping):
        raise ClientError(f'cohort must be a mapping like {{"platform": "web"}}, got {cohort!r}')
    shown = json.dumps(dict(cohort), default=repr, skipkeys=True)
    chosen = []
    for survey in surveys:
        chosen.append({name: cohort[name] for name in survey.cohorts if name in cohort})
        problem = survey.cohort_problem(chosen[-1])
        if problem:
            raise ClientError(f"cohort {problem}, got {shown}")
    declared = sorted({name for survey in surveys for name in survey.cohorts})
    for name in cohort:
        if name not in declared:
            raise ClientError(
                f"cohort {name!r} is not declared by any survey; declared: {', '.join(declared) or 'none'}"
            )
    return chosen
