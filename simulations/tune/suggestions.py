"""Remedies: what would meet a target that a survey cannot meet."""

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
from hushtally.simulations.tune.forecast import Demand, reports_per_device

LONGER = {EpochLength.DAY: (EpochLength.WEEK, 7), EpochLength.WEEK: (EpochLength.MONTH, 4)}


@dataclass(frozen=True)
class Remedy:
    """One or two changes of a survey: what they are, the devices that then meet the target, whether there are enough.

    No change: as the survey is, with more devices.
    """

    changes: tuple[str, ...]
    devices: int
    enough: bool

    def __str__(self) -> str:
        return " and ".join(self.changes)


@dataclass(frozen=True)
class _Form:
    """What decides how many devices a survey needs: the reports for every question, and how many a device sends."""

    survey: Survey
    needed: Mapping[str, int]
    each: float

    @property
    def worst(self) -> Question:
        return self.survey.question(max(self.needed, key=self.needed.__getitem__))

    def devices(self, demand: Demand) -> int:
        return math.ceil(max(self.needed.values()) / (demand.participation * self.each))


@dataclass(frozen=True)
class Remedies:
    """What would meet a demand's target at an epsilon, such that a device reveals no more in all than it does now.

    Changes come in the order of what they cost: patience, then questions, then detail.
    """

    definition: Definition
    demand: Demand
    population: Population

    def at(self, epsilon: float) -> list[Remedy]:
        """More devices, then each change by itself; where none is enough, the first two changes that are together."""
        form = self._form(self.definition.at(epsilon))
        found = [self._remedy((), form)]
        changes = (self._longer_epochs, self._fewer_questions, self._coarser)
        changed = [(words, other, place) for place, change in enumerate(changes, 1) for words, other in change(form)]
        found += [self._remedy((words,), other) for words, other, _ in changed]
        if not any(remedy.enough for remedy in found):
            pairs = (
                self._remedy((words, more), both)
                for words, other, place in changed
                for change in changes[place:]
                for more, both in change(other)
            )
            found += [pair for pair in pairs if pair.enough][:1]
        return found

    def _remedy(self, changes: tuple[str, ...], form: _Form) -> Remedy:
        devices = form.devices(self.demand)
        return Remedy(changes, devices, devices <= self.demand.devices)

    def _form(self, survey: Survey) -> _Form:
        needed = {question.id: self._needed(question, survey.min_reports) for question in survey.asked}
        return _Form(survey, needed, reports_per_device(survey))

    def _needed(self, question: Question, min_reports: int) -> int:
        shares, channel, demand = self.population.shares(question), question.mechanism.channel, self.demand
        widest = float(shares[int(np.argmax(half_widths(channel, shares, min_reports, demand.confidence)))])
        return max(reports_for_half_width(channel, widest, demand.target, demand.confidence), min_reports)

    def _longer_epochs(self, form: _Form) -> Iterator[tuple[str, _Form]]:
        """Where devices answer in some epochs only: in every one of the longer ones. Else: a larger epsilon, less
        often."""
        survey = form.survey
        if survey.epoch not in LONGER:
            return
        (longer, times), every = LONGER[survey.epoch], survey.privacy.answers_every
        if every > 1:
            seldom = math.ceil(every / times)
            words = f'epoch = "{longer}" with answers_every = {seldom}'
            yield words, replace(form, each=form.each * every / seldom)
        elif not survey.permanent and survey.epochs >= times:
            epsilon = min(times * survey.privacy.epsilon, EPSILON_RANGE[1])
            with suppress(SurveyError):
                other = self._form(self.definition.at(epsilon))
                yield f'epoch = "{longer}" with epsilon {epsilon:g}, which reveals no more in all', other

    def _fewer_questions(self, form: _Form) -> Iterator[tuple[str, _Form]]:
        asked, each = len(form.survey.asked), form.survey.privacy.questions_per_device
        if asked > each:
            yield f"asking {counted(each, 'question')} instead of {asked}", replace(form, each=form.each * asked / each)

    def _coarser(self, form: _Form) -> Iterator[tuple[str, _Form]]:
        """The question that needs most, with half its segments, a quarter, ...: as many as meet the target, or two."""
        worst, least = form.worst, form.devices(self.demand)
        segments, best = len(worst.segments), None
        while segments > 2 and least > self.demand.devices:
            segments = max(segments // 2, 2)
            channel = build("auto", {}, segments, worst.epsilon, worst.epsilon_permanent).channel
            reports = reports_for_half_width(channel, 1 / segments, self.demand.target, self.demand.confidence)
            needed = {**form.needed, worst.id: max(reports, form.survey.min_reports)}
            coarse = replace(form, needed=needed)
            if coarse.devices(self.demand) < least:
                least = coarse.devices(self.demand)
                best = f"{segments} segments in {worst.id} instead of {len(worst.segments):,}", coarse
        if best:
            yield best
