"""Files that contain the share of customers in each segment."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.errors import SimulationError

COLUMNS = ("question", "segment", "share")
TOLERANCE = 0.005  # the maximum difference of the sum of rounded shares from 1


def read_json(text: str, survey: Survey) -> dict[str, Floats]:
    """Read the shares by question id from JSON like {"question": {"segment": share}}.

    Segments that are left out have share 0. The shares of each question are scaled to sum to exactly 1. Raises
    SimulationError if the JSON is invalid, does not fit the survey, or has shares that do not sum to 1 within 0.005.
    """
    try:
        stated = json.loads(text)
    except ValueError as error:
        raise SimulationError(f"invalid JSON: {error}") from None
    except RecursionError:
        raise SimulationError("invalid JSON: it is nested too deeply") from None
    return {id: _shares(survey, id, shares) for id, shares in stated.items()}


def read_csv(rows: csv.DictReader[str], survey: Survey) -> dict[str, Floats]:
    """Read the shares by question id from rows with the columns question, segment and share; see `read_json`."""
    stated: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, 2):
        if missing := [name for name in COLUMNS if row[name] is None]:
            raise SimulationError(
                f"line {line}: {missing[0]} is missing; a line needs a question, a segment and a share"
            )
        shares = stated.setdefault(row["question"], {})
        if row["segment"] in shares:
            raise SimulationError(f"line {line}: the share of {row['question']}: {row['segment']} is stated twice")
        shares[row["segment"]] = row["share"]
    return {id: _shares(survey, id, shares) for id, shares in stated.items()}


def _shares(survey: Survey, id: str, stated: object) -> Floats:
    """Return the stated shares of one question as an array in the order of its segments."""
    known = [question.id for question in survey.questions]
    if id not in known:
        raise SimulationError(f"{survey.name} has no question {id!r}{did_you_mean(id, known)}")
    positions = {segment: position for position, segment in enumerate(survey.question(id).segments)}
    if not isinstance(stated, Mapping):
        raise SimulationError(f"{id} must be an object with a share for each segment, got {json.dumps(stated)[:60]}")
    shares = np.zeros(len(positions))
    for segment, share in stated.items():
        if segment not in positions:
            raise SimulationError(f"{id} has no segment {segment!r}{did_you_mean(segment, positions)}")
        shares[positions[segment]] = _number(share, f"{id}: {segment}")
    if not abs(shares.sum() - 1) <= TOLERANCE:
        raise SimulationError(f"the shares of {id} must sum to 1, got {shares.sum():.4g}")
    return np.asarray(shares / shares.sum())


def _number(share: object, name: str) -> float:
    try:
        number = math.nan if isinstance(share, bool) else float(share)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise SimulationError(f"the share of {name} must be a number from 0 to 1, got {share!r}")
    return number
