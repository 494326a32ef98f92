"""Populations: which share of the customers is in every segment, from a shape, a file of shares or a log of events."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Cross, Question
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.event_log import read_log

MOST_DEVICES = 10**9
SHAPES = {"uniform": None, "zipf": 1.0, "geometric": 0.5}  # with the parameter that is taken when none is given
SHAPE_NAMES = "uniform, zipf:S, geometric:R"
DEFAULT_SHAPE = "zipf:1"  # few large segments, many small ones, as behaviour goes
ROUNDED = 0.005  # how far stated shares may sum past 1


@dataclass(frozen=True)
class Shape:
    """A named shape of shares: the first segment the largest, unless it is uniform.

    zipf:s has shares proportional to 1 / rank^s, geometric:r to r^rank.
    """

    name: str
    parameter: float | None

    @classmethod
    def parse(cls, text: str) -> Shape:
        """The shape that words like "zipf:1.1" name; SimulationError for others."""
        name, colon, rest = text.partition(":")
        if name not in SHAPES:
            raise SimulationError(f"{text!r} is not a shape ({SHAPE_NAMES})")
        try:
            parameter = float(rest) if colon else SHAPES[name]
        except ValueError:
            raise SimulationError(f"the parameter of {name} must be a number, got {rest!r}") from None
        if name == "zipf" and not 0 <= (parameter or 0) <= 10:
            raise SimulationError(f"zipf needs a parameter from 0 to 10, got {rest}")
        if name == "geometric" and not 0 < (parameter or 0) <= 1:
            raise SimulationError(f"geometric needs a parameter above 0 and at most 1, got {rest}")
        if name == "uniform" and colon:
            raise SimulationError("uniform takes no parameter")
        return cls(name, parameter)

    def shares(self, segments: int) -> Floats:
        """The shares of so many segments; float array that sums to one."""
        ranks = np.arange(segments, dtype=np.float64)
        if self.name == "zipf":
            weights = (ranks + 1) ** -(self.parameter or 0.0)
        elif self.name == "geometric":
            weights = (self.parameter or 1.0) ** ranks
        else:
            weights = np.ones(segments)
        return np.asarray(weights / weights.sum())

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{self.parameter:g}"


@dataclass(frozen=True)
class Population:
    """The shares of all questions: those that are known by question id, the shape for every other question.

    source: the file in which they are known. remarks: what may be a mistake in it.
    """

    shape: Shape
    known: Mapping[str, Floats]
    source: str = ""
    remarks: Sequence[str] = ()

    @classmethod
    def like(cls, shape: str) -> Population:
        """A population in which every question has the named shape; SimulationError if there is no such shape."""
        return cls(Shape.parse(shape), {})

    @classmethod
    def read(
        cls,
        path: str | Path,
        survey: Survey,
        otherwise: str = DEFAULT_SHAPE,
        progress: Callable[[], object] = lambda: None,
    ) -> Population:
        """The population that a file states; questions that it does not speak of have the shape `otherwise`.

        A JSON file holds {"question": {"segment": share}}; a CSV file the columns question, segment, share, or a log
        of events: the columns device, day, event and their fields, of which the survey's own rules make segments, on
        the log's last day. Segments left out have no share. SimulationError, beginning with the path, for a file
        that is none of these, does not fit the survey, or whose shares do not sum to 1 (within half a percent).
        progress is called once per line of a log.
        """
        shape = Shape.parse(otherwise)
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            known, remarks = _known(text, survey, progress)
            return cls(shape, known, str(path), tuple(f"{path}: {remark}" for remark in remarks))
        except OSError as error:
            raise SimulationError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SimulationError(f"{path}: is not a text file in UTF-8") from None
        except csv.Error as error:
            raise SimulationError(f"{path}: is not CSV: {error}") from None
        except SimulationError as error:
            raise SimulationError(f"{path}: {error}") from None

    def shares(self, question: Question) -> Floats:
        """The share of every segment of a question, in the domain's order."""
        found = self.known.get(question.id)
        return self.shape.shares(len(question.segments)) if found is None else found

    def described(self, survey: Survey) -> str:
        """Where the shares of a survey's questions come from, in words, and what is not true to life in them."""
        words = [self.named(survey)]
        for question in survey.asked:
            if isinstance(question.form, Cross) and not {question.id, *question.form.questions} <= self.known.keys():
                parts = " and ".join(question.form.questions)
                words.append(f"{question.id} has shares of its own, which do not add up to those of {parts}")
        return "; ".join(words)

    def named(self, survey: Survey) -> str:
        """Where the shares of a survey's questions come from, in words."""
        shaped = [question.id for question in survey.asked if question.id not in self.known]
        words = [self.source] if self.known else []
        if shaped:
            words.append(f"{self.shape} for {', '.join(shaped) if self.known else 'every question'}, an invented shape")
        return "; ".join(words)


def _known(text: str, survey: Survey, progress: Callable[[], object]) -> tuple[dict[str, Floats], Sequence[str]]:
    if text.lstrip().startswith("{"):
        try:
            stated = json.loads(text)
        except ValueError as error:
            raise SimulationError(f"is not JSON: {error}") from None
        except RecursionError:
            raise SimulationError("is not JSON that can be read: it is nested too deep") from None
        return {id: _shares(survey, id, shares) for id, shares in stated.items()}, ()
    rows = csv.DictReader(io.StringIO(text))
    columns = set(rows.fieldnames or ())
    if columns >= {"device", "day", "event"}:
        counts, remarks = read_log(rows, sorted(columns), survey, progress)
        return {id: np.array(numbers) / sum(numbers) for id, numbers in counts.items()}, remarks
    if not columns >= {"question", "segment", "share"}:
        raise SimulationError(
            "must be JSON, or CSV with the columns question, segment, share or device, day, event, ...,"
            f" got {', '.join(rows.fieldnames or ()) or 'nothing'}"
        )
    stated = {}
    for line, row in enumerate(rows, 2):
        if short := [name for name in ("question", "segment", "share") if row[name] is None]:
            raise SimulationError(f"line {line}: must have a question, a segment and a share, got no {short[0]}")
        shares = stated.setdefault(row["question"], {})
        if row["segment"] in shares:
            raise SimulationError(f"line {line}: {row['question']}: {row['segment']} is stated twice")
        shares[row["segment"]] = row["share"]
    return {id: _shares(survey, id, shares) for id, shares in stated.items()}, ()


def _shares(survey: Survey, id: str, stated: object) -> Floats:
    known = [question.id for question in survey.questions]
    if id not in known:
        raise SimulationError(f"{survey.name} has no question {id!r}{did_you_mean(id, known)}")
    places = {segment: place for place, segment in enumerate(survey.question(id).segments)}
    if not isinstance(stated, Mapping):
        raise SimulationError(f"{id} must be an object of segments and their shares, got {json.dumps(stated)[:60]}")
    shares = np.zeros(len(places))
    for segment, share in stated.items():
        if segment not in places:
            raise SimulationError(f"{id} has no segment {segment!r}{did_you_mean(segment, places)}")
        try:
            number = math.nan if isinstance(share, bool) else float(share)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= 1:
            raise SimulationError(f"the share of {id}: {segment} must be a number from 0 to 1, got {share!r}")
        shares[places[segment]] = number
    if not abs(shares.sum() - 1) <= ROUNDED:
        raise SimulationError(f"the shares of {id} must sum to 1, got {shares.sum():.4g}")
    return np.asarray(shares / shares.sum())
