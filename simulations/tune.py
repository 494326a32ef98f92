"""Tuning: which epsilon gives which accuracy with so many devices, and which one to take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from client_sdk.errors import SurveyError
from client_sdk.mechanisms.base import EPSILON_RANGE
from client_sdk.survey import FRESH, PERMANENT, Survey
from simulations.definition import Definition
from simulations.errors import SimulationError
from simulations.numerals import counted, points, round_up, sure
from simulations.outlook import PRIOR, Demand, Outlook, outlook
from simulations.population import Population
from simulations.remedies import Remedies, Remedy

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

    Questions that name their own epsilon keep it. SimulationError when no epsilon of the grid is possible or the
    devices are too few for a report per question and epoch.
    """
    surveys, refused = _surveys(definition, grid)
    outlooks = {epsilon: _outlooks(survey, demand, population) for epsilon, survey in surveys.items()}
    meeting = [epsilon for epsilon, rows in outlooks.items() if _meets(rows, demand)]
    if meeting:
        best = meeting[0]
        outlooks[best] = [replace(row, recommended=True) for row in outlooks[best]]
        return Tuning(
            outlooks,
            *_alternatives(definition, best, demand, population),
            best,
            (),
            _reason(surveys[best], outlooks, demand),
            demand.span(definition.survey),
            refused,
        )
    allowed = [epsilon for epsilon, rows in outlooks.items() if rows[0].lifetime_epsilon <= demand.ceiling]
    own = min(allowed or surveys, key=lambda epsilon: abs(epsilon - definition.survey.privacy.epsilon))
    found = Remedies(definition, demand, population).at(own)
    return Tuning(
        outlooks,
        *_alternatives(definition, own, demand, population),
        None,
        found,
        _no_reason(own, outlooks, found, demand, demand.span(definition.survey)),
        demand.span(definition.survey),
        refused,
    )


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


def _meets(rows: Sequence[Outlook], demand: Demand) -> bool:
    return all(
        row.published and row.half_width <= demand.target and row.lifetime_epsilon <= demand.ceiling for row in rows
    )


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
        except (SurveyError, SimulationError):
            continue  # a mechanism without permanent memory, or too few devices to answer so seldom
    return found, compared


def _reason(survey: Survey, outlooks: Mapping[float, Sequence[Outlook]], demand: Demand) -> str:
    epsilon = survey.privacy.epsilon
    rows = outlooks[epsilon]
    words = (
        f"epsilon {epsilon:g}: every segment within {points(max(row.half_width for row in rows))} each {survey.epoch}"
    )
    below = [one for one in outlooks if one < epsilon]
    if below:
        needed = max(row.devices_for_target for row in outlooks[below[-1]])
        words += f"; {below[-1]:g} would need {round_up(needed):,} devices"
    return f"{words}. {_revealed(rows[0], demand.span(survey))}"


def _revealed(row: Outlook, span: str) -> str:
    return (
        f"A device reveals at most epsilon {row.lifetime_epsilon:g} {span}: whoever keeps all these reports and was"
        f" {PRIOR:.0%} sure of something about its owner can be {sure(row.belief_lifetime)} sure."
    )


def _no_reason(
    own: float, outlooks: Mapping[float, Sequence[Outlook]], found: Sequence[Remedy], demand: Demand, span: str
) -> str:
    allowed = [epsilon for epsilon, rows in outlooks.items() if rows[0].lifetime_epsilon <= demand.ceiling]
    if not allowed:
        least = min(outlooks)
        smaller = "name smaller ones with --epsilon, or " if least > EPSILON_RANGE[0] else ""
        return (
            f"no epsilon that was looked at stays within {demand.ceiling:g} {span}: {least:g}, the smallest, reveals up"
            f" to {outlooks[least][0].lifetime_epsilon:g}; {smaller}answer more seldom"
        )
    worst = max(outlooks[allowed[-1]], key=lambda row: (not row.published, row.half_width))
    reached = f"{worst.question} would be within {points(worst.half_width)}"
    if not worst.published:
        reached = f"{worst.question} would have {counted(worst.reports, 'report')}, too few to be published"
    bound = "" if len(allowed) == len(outlooks) else f", the largest below a ceiling of {demand.ceiling:g},"
    free = [epsilon for epsilon, rows in outlooks.items() if _meets(rows, replace(demand, ceiling=math.inf))]
    words = (
        f"no epsilon up to {allowed[-1]:g}{bound} meets {points(demand.target)} with"
        f" {counted(demand.devices, 'device')}: {reached}. At epsilon {own:g} {_would(found)}."
    )
    if free:
        lifetime = outlooks[free[0]][0].lifetime_epsilon
        words += f" A ceiling of {lifetime:g} would allow epsilon {free[0]:g}, which is enough."
    return words


def _would(found: Sequence[Remedy]) -> str:
    """What is enough with the devices at hand, then what would be with more."""
    alone = [str(one) for one in found if one.enough and len(one.changes) == 1]
    pairs = [str(one) for one in found if one.enough and len(one.changes) == 2]
    more = [f"{str(one) or 'as it is'} ({round_up(one.devices):,})" for one in found if not one.enough]
    if alone:
        words = f"{'this' if len(alone) == 1 else 'each of these'} is enough: {'; '.join(alone)}"
    elif pairs:
        words = f"no change by itself is enough, but two are: {pairs[0]}"
    else:
        words = "no change is enough, nor are any two"
    return f"{words}. With more devices: {'; '.join(more)}" if more else words
