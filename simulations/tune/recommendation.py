"""Recommendations: which of several epsilons to take, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON, ways_to_lower_epsilon
from hushtally.client_sdk.explain.belief import PRIOR, describe_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.cli.number_format import points, round_up
from hushtally.simulations.tune.forecast import Demand, Outlook
from hushtally.simulations.tune.suggestions import Remedy


@dataclass(frozen=True)
class Recommendation:
    """What outlooks say about a demand: the survey and its outlooks at every epsilon, ascending."""

    surveys: Mapping[float, Survey]
    outlooks: Mapping[float, Sequence[Outlook]]
    demand: Demand

    @property
    def allowed(self) -> list[float]:
        """The epsilons that keep below the ceiling."""
        return [epsilon for epsilon, rows in self.outlooks.items() if self.demand.allowed(rows)]

    @property
    def accurate(self) -> list[float]:
        """The epsilons that meet the target."""
        return [epsilon for epsilon, rows in self.outlooks.items() if self.demand.accurate(rows)]

    @property
    def best(self) -> float | None:
        """The least epsilon that meets the demand, None if none does."""
        return next((epsilon for epsilon in self.accurate if epsilon in self.allowed), None)

    def for_best(self) -> str:
        """What the best epsilon gives and reveals."""
        epsilon = self.best
        assert epsilon is not None
        survey, rows = self.surveys[epsilon], self.outlooks[epsilon]
        within = points(max(row.half_width for row in rows))
        words = (
            f"epsilon {epsilon:g}: each segment's {self.demand.confidence:.0%} interval reaches at most {within} to"
            f" either side each {survey.epoch}"
        )
        below = [one for one in self.outlooks if one < epsilon]
        if below:
            needed = max(row.devices_for_target for row in self.outlooks[below[-1]])
            words += f"; {below[-1]:g} would need {round_up(needed):,} devices"
        about = " of what was answered, not whether and when it changed" if survey.permanent else ""
        words += (
            f". A device reveals at most epsilon {rows[0].lifetime_epsilon:g} {self.demand.span(survey)}{about}:"
            f" whoever keeps all these reports and was {PRIOR:.0%} sure of something about its owner can be"
            f" {describe_belief(rows[0].belief_lifetime)}."
        )
        if survey.lifetime_epsilon > ADVISED_LIFETIME_EPSILON:
            words += (
                f" `hushtally survey check` warns of more than {ADVISED_LIFETIME_EPSILON:g}: the whole survey reveals"
                f" up to {survey.lifetime_epsilon:g}."
            )
        return words

    def against(self, own: float, remedies: Sequence[Remedy]) -> str:
        """Why no epsilon will do, and what would; remedies: at the epsilon `own`."""
        words = self._inaccurate(own, remedies) if self.allowed else self._revealing()
        if self.accurate:
            epsilon = self.accurate[0]
            ceiling = self.outlooks[epsilon][0].lifetime_epsilon
            words += f" A ceiling of {ceiling:g} would allow epsilon {epsilon:g}, which is enough."
        return words

    def _revealing(self) -> str:
        """Every epsilon reveals more than the ceiling."""
        least, survey = next(iter(self.surveys.items()))
        within = f"stays within {self.demand.ceiling:g} {self.demand.span(survey)}"
        revealed = f"up to {self.outlooks[least][0].lifetime_epsilon:g}"
        ways = ways_to_lower_epsilon(survey)
        if survey.permanent:
            return f"no epsilon {within}: permanent memory reveals {revealed} whatever it is; {' or '.join(ways)}."
        ways[:1] = ["name smaller ones with --epsilon"] * (least > EPSILON_RANGE[0])
        return (
            f"no epsilon that was looked at {within}: {least:g}, the smallest, reveals {revealed}; {' or '.join(ways)}."
        )

    def _inaccurate(self, own: float, remedies: Sequence[Remedy]) -> str:
        """The largest epsilon allowed misses the target; what would meet it."""
        largest, demand = self.allowed[-1], self.demand
        worst = max(self.outlooks[largest], key=lambda row: (not row.published, row.half_width))
        reached = f"{worst.question} would be within {points(worst.half_width)}"
        if not worst.published:
            reached = f"{worst.question} would have {counted(worst.reports, 'report')}, too few to be published"
        bounded = len(self.allowed) < len(self.outlooks)
        bound = f", the largest below a ceiling of {demand.ceiling:g}," if bounded else ""
        return (
            f"no epsilon up to {largest:g}{bound} meets {points(demand.target)} with"
            f" {counted(demand.devices, 'device')}: {reached}. At epsilon {own:g} {_would(remedies)}."
        )


def _would(remedies: Sequence[Remedy]) -> str:
    """What is enough with the devices at hand, then what would be with more."""
    alone = [str(one) for one in remedies if one.enough and len(one.changes) == 1]
    pairs = [str(one) for one in remedies if one.enough and len(one.changes) == 2]
    more = [f"{str(one) or 'as it is'} ({round_up(one.devices):,})" for one in remedies if not one.enough]
    if alone:
        words = f"{'this' if len(alone) == 1 else 'each of these'} is enough: {'; '.join(alone)}"
    elif pairs:
        words = f"no change by itself is enough, but two are: {pairs[0]}"
    else:
        words = "no change is enough, nor are any two"
    return f"{words}. With more devices: {'; '.join(more)}" if more else words
