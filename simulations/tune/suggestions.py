"""Suggestions: changes to a survey that misses its target, so that it meets the target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import build
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.accuracy import half_widths, reports_for_half_width
from hushtally.simulations.definition import Definition
from hushtally.simulations.population.population import Population
from hushtally.simulations.tune.constraints import Constraints, reports_per_device

LONGER = {EpochLength.DAY: (EpochLength.WEEK, 7), EpochLength.WEEK: (EpochLength.MONTH, 4)}


@dataclass(frozen=True)
class Suggestion:
    """Up to two changes of a survey. Without changes, the suggestion is to use more devices.

    devices: the number of devices that meets the target after the changes. enough: whether this many are available.
    """

    changes: tuple[str, ...]
    devices: int
    enough: bool

    def __str__(self) -> str:
        return " and ".join(self.changes) or "no change"


@dataclass(frozen=True)
class _Variant:
    """A changed survey: the reports that each question needs, and the reports of one device per question and epoch."""

    survey: Survey
    needed: Mapping[str, int]
    reports_per_device: float

    @property
    def worst(self) -> Question:
        """The question that needs the most reports."""
        return self.survey.question(max(self.needed, key=self.needed.__getitem__))

    def devices(self, constraints: Constraints) -> int:
        return math.ceil(max(self.needed.values()) / (constraints.participation * self.reports_per_device))


@dataclass(frozen=True)
class Suggestions:
    """The search for changes that meet the target at an epsilon without a higher lifetime epsilon.

    The changes come in this order: longer epochs, fewer questions, fewer segments.
    """

    definition: Definition
    constraints: Constraints
    population: Population

    def at(self, epsilon: float) -> list[Suggestion]:
        """Suggest more devices, then each single change. If none is enough, add the first pair that is enough."""
        variant = self._variant(self.definition.at(epsilon))
        changes = (self._longer_epochs, self._fewer_questions, self._fewer_segments)
        single = [(text, other, rank) for rank, change in enumerate(changes, 1) for text, other in change(variant)]
        found = [self._suggestion((), variant)]
        found += [self._suggestion((text,), other) for text, other, _ in single]
        if not any(suggestion.enough for suggestion in found):
            pairs = (
                self._suggestion((text, second), both)
                for text, other, rank in single
                for change in changes[rank:]
                for second, both in change(other)
            )
            found += [pair for pair in pairs if pair.enough][:1]
        return found

    def _suggestion(self, changes: tuple[str, ...], variant: _Variant) -> Suggestion:
        devices = variant.devices(self.constraints)
        return Suggestion(changes, devices, devices <= self.constraints.devices)

    def _variant(self, survey: Survey) -> _Variant:
        needed = {question.id: self._reports_needed(question, survey.min_reports) for question in survey.asked}
        return _Variant(survey, needed, reports_per_device(survey))

    def _reports_needed(self, question: Question, min_reports: int) -> int:
        shares, channel, constraints = self.population.shares(question), question.mechanism.channel, self.constraints
        halves = half_widths(channel, shares, min_reports, constraints.confidence)
        widest = float(shares[int(np.argmax(halves))])
        return max(reports_for_half_width(channel, widest, constraints.target, constraints.confidence), min_reports)

    def _longer_epochs(self, variant: _Variant) -> Iterator[tuple[str, _Variant]]:
        """Use longer epochs. Devices then skip fewer epochs or, if they skip none, answer with a larger epsilon."""
        survey = variant.survey
        if survey.epoch not in LONGER:
            return
        (longer, times), every = LONGER[survey.epoch], survey.privacy.answers_every
        if every > 1:
            new_every = math.ceil(every / times)
            text = f'epoch = "{longer}" with answers_every = {new_every}'
            yield text, replace(variant, reports_per_device=variant.reports_per_device * every / new_every)
        elif not survey.permanent and survey.epochs >= times:
            epsilon = min(times * survey.privacy.epsilon, EPSILON_RANGE[1])
            with suppress(SurveyError):
                other = self._variant(self.definition.at(epsilon))
                yield f'epoch = "{longer}" with epsilon {epsilon:g} (no higher lifetime epsilon)', other

    def _fewer_questions(self, variant: _Variant) -> Iterator[tuple[str, _Variant]]:
        """Ask only as many questions as one device answers."""
        asked, answered = len(variant.survey.asked), variant.survey.privacy.questions_per_device
        if asked > answered:
            text = f"{counted(answered, 'question')} instead of {asked}"
            yield text, replace(variant, reports_per_device=variant.reports_per_device * asked / answered)

    def _fewer_segments(self, variant: _Variant) -> Iterator[tuple[str, _Variant]]:
        """Halve the segments of the worst question until the target is met or two segments are left."""
        worst, least = variant.worst, variant.devices(self.constraints)
        segments, best = len(worst.segments), None
        while segments > 2 and least > self.constraints.devices:
            segments = max(segments // 2, 2)
            channel = build("auto", {}, segments, worst.epsilon, worst.epsilon_permanent).channel
            reports = reports_for_half_width(
                channel, 1 / segments, self.constraints.target, self.constraints.confidence
            )
            needed = {**variant.needed, worst.id: max(reports, variant.survey.min_reports)}
            coarse = replace(variant, needed=needed)
            if coarse.devices(self.constraints) < least:
                least = coarse.devices(self.constraints)
                best = f"{segments} segments in {worst.id} instead of {len(worst.segments):,}", coarse
        if best:
            yield best
