"""Tuning: forecasts at several epsilons, and the epsilon to use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hushtally.aggregator.errors import ArgumentError
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import FRESH, PERMANENT
from hushtally.output.progress import ProgressBar, no_progress
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.forecast import Forecast, forecast
from hushtally.simulations.tune.recommendation import Recommendation
from hushtally.simulations.tune.suggestions import Suggestion, Suggestions

GRID = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
EVERY = (1, 2, 4, 8, 13, 26)  # values of answers_every to compare
CHANGES = 3  # of permanent memory, if the survey has fresh memory


@dataclass(frozen=True)
class Tuning:
    """The forecasts of a survey by epsilon, and the recommended epsilon.

    forecasts: one for each question, at every possible epsilon of the grid, in ascending order. alternatives: the same
    at one epsilon, with other kinds of memory and other values of answers_every; compared: these surveys. recommended:
    the epsilon to use, None if none meets the constraints. suggestions: changes that would meet them; empty if an
    epsilon is recommended. reason: the recommendation in words. period: the time that the lifetime epsilon covers, in
    words. skipped: why an epsilon of the grid is not possible.
    """

    forecasts: Mapping[float, Sequence[Forecast]]
    alternatives: Sequence[Sequence[Forecast]]
    compared: Sequence[Survey]
    recommended: float | None
    suggestions: Sequence[Suggestion]
    reason: str
    period: str
    skipped: Mapping[float, str]

    @property
    def rows(self) -> list[Forecast]:
        """All forecasts, then the alternatives."""
        return [row for rows in (*self.forecasts.values(), *self.alternatives) for row in rows]


def tune(
    definition: Definition,
    constraints: Constraints,
    population: Population,
    grid: Iterable[float] = GRID,
    progress: ProgressBar = no_progress,
) -> Tuning:
    """Forecast a survey at every epsilon of the grid, and recommend the smallest that meets the constraints.

    Questions that set their own epsilon keep it. progress: shows how far each part has come. Raises SimulationError if
    no epsilon of the grid is possible, and ArgumentError if fewer than one report is expected per question and epoch.
    """
    surveys, skipped = _surveys(definition, grid)
    forecasts = {}
    with progress("Forecasting the accuracy of each epsilon", len(surveys)) as advance:
        for epsilon, survey in surveys.items():
            forecasts[epsilon] = _forecasts(survey, constraints, population)
            advance()
    recommendation = Recommendation(surveys, forecasts, constraints)
    best, suggestions = recommendation.best, []
    if best is None:
        current = definition.survey.privacy.epsilon
        own = min(recommendation.allowed or surveys, key=lambda epsilon: abs(epsilon - current))
        with progress("Searching for changes that meet the target", None):
            suggestions = Suggestions(definition, constraints, population).at(own)
        reason = recommendation.reason_against_all(own, suggestions)
    else:
        own, reason = best, recommendation.reason_for_best()
        forecasts[best] = [replace(row, recommended=True) for row in forecasts[best]]
    alternatives, compared = _alternatives(definition, own, constraints, population, progress)
    period = constraints.period(definition.survey)
    return Tuning(forecasts, alternatives, compared, best, suggestions, reason, period, skipped)


def _surveys(definition: Definition, grid: Iterable[float]) -> tuple[dict[float, Survey], dict[float, str]]:
    """The survey at every possible epsilon of the grid, and why the other epsilons are not possible."""
    surveys, skipped = {}, {}
    for epsilon in sorted(set(grid)):
        try:
            surveys[epsilon] = definition.at(epsilon)
        except SurveyError as error:
            skipped[epsilon] = str(error.problems[0])
        except SimulationError as error:
            skipped[epsilon] = str(error)
    if not surveys:
        raise SimulationError(next(iter(skipped.values()), "the grid has no epsilon"))
    return surveys, skipped


def _forecasts(survey: Survey, constraints: Constraints, population: Population) -> list[Forecast]:
    return [forecast(survey, question, constraints, population) for question in survey.asked]


def _alternatives(
    definition: Definition, epsilon: float, constraints: Constraints, population: Population, progress: ProgressBar
) -> tuple[list[list[Forecast]], list[Survey]]:
    """Forecasts with fresh memory and several values of answers_every, and with permanent memory."""
    privacy = definition.survey.privacy
    epsilon_permanent = privacy.epsilon_permanent or min(2 * epsilon, 8.0)
    changes = CHANGES if privacy.changes is None else privacy.changes
    fresh: dict[str, object] = {"memory": FRESH, "epsilon_permanent": None, "changes": None}
    permanent: dict[str, object] = {"memory": PERMANENT, "epsilon_permanent": epsilon_permanent, "changes": changes}
    every = sorted({*(one for one in EVERY if one <= definition.survey.epochs), privacy.answers_every})
    candidates: list[tuple[dict[str, object], int]] = [*((fresh, one) for one in every), (permanent, 1)]
    found, compared = [], []
    with progress("Comparing kinds of memory", len(candidates)) as advance:
        for memory, answers_every in candidates:
            try:
                survey = definition.at(epsilon, answers_every=answers_every, **memory)
                found.append(_forecasts(survey, constraints, population))
                compared.append(survey)
            except (SurveyError, ArgumentError, SimulationError):
                pass  # a mechanism has no permanent memory, or less than one report is expected
            advance()
    return found, compared
