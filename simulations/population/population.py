"""Populations: the true share of customers in each segment."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Cross, Question
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population import event_log, shares_file
from hushtally.simulations.population.shape import DEFAULT_SHAPE, Shape

MAX_DEVICES = 10**9


@dataclass(frozen=True)
class Population:
    """The true shares of all questions: known shares by question id, and a shape for every other question.

    source: the file that contains the known shares. warnings: possible mistakes in this file.
    """

    shape: Shape
    known: Mapping[str, Floats]
    source: str = ""
    warnings: Sequence[str] = ()

    @classmethod
    def from_shape(cls, shape: str) -> Population:
        """Create a population in which every question has the named shape. Raises SimulationError for another name."""
        return cls(Shape.parse(shape), {})

    @classmethod
    def load(
        cls,
        path: str | Path,
        survey: Survey,
        default_shape: str = DEFAULT_SHAPE,
        progress: Callable[[], object] = lambda: None,
    ) -> Population:
        """Read a population from a file. Questions that the file does not mention have the default shape.

        The file is JSON like {"question": {"segment": share}}, a CSV with the columns question, segment and share, or
        an event log. An event log is a CSV with the columns device, day, event and the fields of events. The survey's
        own rules turn an event log into segments on its last day. progress: called once per row of an event log. Raises
        SimulationError, which starts with the path, if the file is none of these or does not fit the survey.
        """
        shape = Shape.parse(default_shape)
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            known, warnings = _read(text, survey, progress)
        except OSError as error:
            raise SimulationError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SimulationError(f"{path}: must be a UTF-8 text file") from None
        except csv.Error as error:
            raise SimulationError(f"{path}: invalid CSV: {error}") from None
        except SimulationError as error:
            raise SimulationError(f"{path}: {error}") from None
        return cls(shape, known, str(path), tuple(f"{path}: {warning}" for warning in warnings))

    def shares(self, question: Question) -> Floats:
        """Return the shares of a question in the order of its segments: a float array that sums to 1."""
        known = self.known.get(question.id)
        return self.shape.shares(len(question.segments)) if known is None else known

    def description(self, survey: Survey) -> str:
        """Describe the source of a survey's shares, and name the crossed questions that do not fit their parts."""
        parts = [self.source_description(survey)]
        for question in survey.asked:
            if isinstance(question.form, Cross) and not {question.id, *question.form.questions} <= self.known.keys():
                crossed = " and ".join(question.form.questions)
                parts.append(f"the shares of {question.id} do not add up to the shares of {crossed}")
        return "; ".join(parts)

    def source_description(self, survey: Survey) -> str:
        """Describe the source of a survey's shares."""
        assumed = [question.id for question in survey.asked if question.id not in self.known]
        parts = [self.source] if self.known else []
        if assumed:
            questions = ", ".join(assumed) if self.known else "every question"
            parts.append(f"assumed shape {self.shape} for {questions}")
        return "; ".join(parts)


def _read(text: str, survey: Survey, progress: Callable[[], object]) -> tuple[Mapping[str, Floats], Sequence[str]]:
    """Return the shares from a file, and possible mistakes in the file."""
    if text.lstrip().startswith("{"):
        return shares_file.read_json(text, survey), ()
    rows = csv.DictReader(io.StringIO(text))
    columns = set(rows.fieldnames or ())
    if columns >= set(event_log.COLUMNS):
        log = event_log.read_event_log(rows, sorted(columns), survey, progress)
        counts = log.segment_counts(survey)
        return {id: np.array(numbers) / sum(numbers) for id, numbers in counts.items()}, log.warnings
    if columns >= set(shares_file.COLUMNS):
        return shares_file.read_csv(rows, survey), ()
    raise SimulationError(
        "must be JSON, or a CSV file with the columns question, segment, share or device, day, event, ..."
        f" (got {', '.join(rows.fieldnames or ()) or 'an empty file'})"
    )
