"""Recommendations: the recommended epsilon, with the reasons in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON, ways_to_lower_epsilon
from hushtally.client_sdk.explain.belief import PRIOR, describe_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling
from hushtally.simulations.cli.number_format import margin, round_up
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.forecast import Forecast
from hushtally.simulations.tune.suggestions import Suggestion


@dataclass(frozen=True)
class Recommendation:
    """The choice among the evaluated epsilons. surveys, forecasts: by epsilon, in ascending order."""

    surveys: Mapping[float, Survey]
    forecasts: Mapping[float, Sequence[Forecast]]
    constraints: Constraints

    @property
    def allowed(self) -> list[float]:
        """The epsilons whose lifetime epsilon is within the ceiling."""
        ceiling = self.constraints.ceiling
        return [
            epsilon
            for epsilon, rows in self.forecasts.items()
            if all(within_ceiling(row.lifetime_epsilon, ceiling) for row in rows)
        ]

    @property
    def accurate(self) -> list[float]:
        """The epsilons at which all questions are published and the intervals of all segments meet the target."""
        target = self.constraints.target
        return [
            epsilon
            for epsilon, rows in self.forecasts.items()
            if all(row.published and row.half_width <= target for row in rows)
        ]

    @property
    def best(self) -> float | None:
        """The smallest epsilon that meets the target within the ceiling; None if there is none."""
        return next((epsilon for epsilon in self.accurate if epsilon in self.allowed), None)

    def reason_for_best(self) -> str:
        """Explain why the best epsilon is recommended: its accuracy, and what a device reveals."""
        epsilon = self.best
        assert epsilon is not None
        survey, rows = self.surveys[epsilon], self.forecasts[epsilon]
        widest, lifetime = max(row.half_width for row in rows), rows[0].lifetime_epsilon
        sentences = [
            f"Epsilon {epsilon:g} is recommended: the {self.constraints.confidence:.0%} interval of every segment is at"
            f" most {margin(widest)} each {survey.epoch}."
        ]
        if smaller := [other for other in self.forecasts if other < epsilon]:
            needed = max(row.devices_for_target for row in self.forecasts[smaller[-1]])
            sentences.append(f"Epsilon {smaller[-1]:g} would need {round_up(needed):,} devices.")
        sentences.append(f"A device reveals at most epsilon {lifetime:g} {self.constraints.period(survey)}.")
        if survey.permanent:
            sentences.append("This bound covers the answers, but not whether or when an answer changed.")
        sentences.append(
            f"An observer who links these reports and was {PRIOR:.0%} sure of something about the customer can then be"
            f" {describe_belief(rows[0].belief_lifetime)}."
        )
        if (whole := survey.lifetime_epsilon) > ADVISED_LIFETIME_EPSILON:
            warning = f"`hushtally survey check` warns above epsilon {ADVISED_LIFETIME_EPSILON:g}"
            sentences.append(f"{warning}: the whole survey reveals up to {whole:g}.")
        return " ".join(sentences)

    def reason_against_all(self, own: float, suggestions: Sequence[Suggestion]) -> str:
        """Explain why no epsilon meets the constraints, and which suggestions for the epsilon `own` would help."""
        reason = self._too_inaccurate(own, suggestions) if self.allowed else self._too_revealing()
        if self.accurate:
            epsilon = self.accurate[0]
            ceiling = self.forecasts[epsilon][0].lifetime_epsilon
            reason += f" With a ceiling of {ceiling:g}, epsilon {epsilon:g} meets the target."
        return reason

    def _too_revealing(self) -> str:
        """Explain that no evaluated epsilon is within the ceiling."""
        smallest, survey = next(iter(self.surveys.items()))
        within = f"is within the ceiling of {self.constraints.ceiling:g} {self.constraints.period(survey)}"
        revealed = f"up to {self.forecasts[smallest][0].lifetime_epsilon:g}"
        ways = ways_to_lower_epsilon(survey)
        if survey.permanent:
            reason = f"No epsilon {within}: permanent memory reveals {revealed} at every epsilon."
        else:
            reason = f"No evaluated epsilon {within}: the smallest, {smallest:g}, reveals {revealed}."
            ways[:1] = ["pass a smaller --epsilon"] * (smallest > EPSILON_RANGE[0])
        return f"{reason} To reveal less, {' or '.join(ways)}." if ways else reason

    def _too_inaccurate(self, own: float, suggestions: Sequence[Suggestion]) -> str:
        """Explain that the largest epsilon within the ceiling misses the target, and add the suggestions."""
        largest, constraints = self.allowed[-1], self.constraints
        worst = max(self.forecasts[largest], key=lambda row: (not row.published, row.half_width))
        reached = f"the interval of {worst.question} is {margin(worst.half_width)}"
        if not worst.published:
            reached = (
                f"{worst.question} has {counted(worst.reports, 'report')}, too few to be published (min_reports ="
                f" {self.surveys[largest].min_reports})"
            )
        is_bounded = len(self.allowed) < len(self.forecasts)
        epsilons = f"epsilon within the ceiling of {constraints.ceiling:g}" if is_bounded else "evaluated epsilon"
        return (
            f"No {epsilons} meets the target of {margin(constraints.target)} with"
            f" {counted(constraints.devices, 'device')}: at epsilon {largest:g}, the largest, {reached}."
            f" At epsilon {own:g}, {_suggested(suggestions)}."
        )


def _suggested(suggestions: Sequence[Suggestion]) -> str:
    """List the suggestions that work with the current devices, then the suggestions that need more devices."""
    enough = [one for one in suggestions if one.enough]
    single = [str(one) for one in enough if len(one.changes) == 1]
    pairs = [str(one) for one in enough if len(one.changes) == 2]
    more = [f"{one} ({round_up(one.devices):,} devices)" for one in suggestions if not one.enough]
    if single:
        text = f"{'this change' if len(single) == 1 else 'each of these changes'} is enough: {'; '.join(single)}"
    elif pairs:
        text = f"no single change is enough, but these two together are: {pairs[0]}"
    else:
        text = "no change and no pair of changes is enough"
    return f"{text}. With more devices, these also meet the target: {'; '.join(more)}" if more else text
