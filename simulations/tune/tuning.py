"""Tuning: which epsilon gives which accuracy with so many devices, and which one to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hushtally.aggregator.errors import ArgumentError
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import FRESH, PERMANENT
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.tune.forecast import Demand, Outlook, outlook
from hushtally.simulations.tune.recommendation import Recommendation
from hushtally.simulations.tune.suggestions import Remedies, Remedy

GRID = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
EVERY = (1, 2, 4, 8, 13, 26)  # answers_every to compare
CHANGES = 3  # of a permanent memory to compare with


@dataclass(frozen=True)
class Tuning:
    """The outlooks of a survey by epsilon of its privacy table, and what to do.

    outlooks: one for every question, at every possible epsilon of the grid, ascending. alternatives: the same at one
    epsilon with other kinds of memory and answers_every; compared: those surveys. recommended: the epsilon to take,
    None if none meets the demand; then remedies name what would. reason: all this in words. span: the time in
    which what is revealed is counted together, like "in all". refused: why the grid's other epsilons are impossible.
    """

    outlooks: Mapping[float, Sequence[Outlook]]
    alternatives: Sequence[Sequence[Outlook]]
    compared: Sequence[Survey]
    recommended: float | None
    remedies: Sequence[Remedy]
    reason: str
    span: str
    refused: Mapping[float, str]

    @property
    def rows(self) -> list[Outlook]:
        """All outlooks, then the alternatives."""
        return [row for rows in (*self.outlooks.values(), *self.alternatives) for row in rows]


def tune(definition: Definition, demand: Demand, population: Population, grid: Iterable[float] = GRID) -> Tuning:
    """Looks at a survey at every epsilon of the grid and recommends the least that meets the demand.

    Questions that name their own epsilon keep it. SimulationError when no epsilon of the grid is possible,
    ArgumentError when the devices are too few for a report per question and epoch.
    """
    surveys, refused = _surveys(definition, grid)
    outlooks = {epsilon: _outlooks(survey, demand, population) for epsilon, survey in surveys.items()}
    recommendation = Recommendation(surveys, outlooks, demand)
    best, remedies = recommendation.best, []
    if best is None:
        own = min(
            recommendation.allowed or surveys, key=lambda epsilon: abs(epsilon - definition.survey.privacy.epsilon)
        )
        remedies = Remedies(definition, demand, population).at(own)
        reason = recommendation.against(own, remedies)
    else:
        own, reason = best, recommendation.for_best()
        outlooks[best] = [replace(row, recommended=True) for row in outlooks[best]]
    alternatives, compared = _alternatives(definition, own, demand, population)
    return Tuning(outlooks, alternatives, compared, best, remedies, reason, demand.span(definition.survey), refused)


def _surveys(definition: Definition, grid: Iterable[float]) -> tuple[dict[float, Survey], dict[float, str]]:
    """The survey at every epsilon of the grid that is possible, and why the others are not."""
    surveys, refused = {}, {}
    for epsilon in sorted(set(grid)):
        try:
            surveys[epsilon] = definition.at(epsilon)
        except SurveyError as error:
            refused[epsilon] = str(error.problems[0])
        except SimulationError as error:
            refused[epsilon] = str(error)
    if not surveys:
        raise SimulationError(next(iter(refused.values()), "no epsilon was named"))
    return surveys, refused


def _outlooks(survey: Survey, demand: Demand, population: Population) -> list[Outlook]:
    return [outlook(survey, question, demand, population) for question in survey.asked]


def _alternatives(
    definition: Definition, epsilon: float, demand: Demand, population: Population
) -> tuple[list[list[Outlook]], list[Survey]]:
    """The survey at one epsilon with fresh memory and several answers_every, and with permanent memory."""
    privacy = definition.survey.privacy
    lasting = privacy.epsilon_permanent or min(2 * epsilon, 8.0)
    changes = CHANGES if privacy.changes is None else privacy.changes
    fresh = {"memory": FRESH, "epsilon_permanent": None, "changes": None}
    permanent = {"memory": PERMANENT, "epsilon_permanent": lasting, "changes": changes}
    every = [one for one in EVERY if one <= definition.survey.epochs] + [privacy.answers_every]
    found, compared = [], []
    for memory, answers_every in [(fresh, one) for one in sorted(set(every))] + [(permanent, 1)]:
        try:
            survey = definition.at(epsilon, answers_every=answers_every, **memory)
            found.append(_outlooks(survey, demand, population))
            compared.append(survey)
        except (SurveyError, ArgumentError, SimulationError):
            continue  # a mechanism without permanent memory, or too few devices to answer so seldom
    return found, compared
