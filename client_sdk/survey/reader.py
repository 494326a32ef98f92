"""Reads and checks the definition of a survey, and collects every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import prod
from typing import Any

from hushtally.client_sdk.error_text import one_line
from hushtally.client_sdk.errors import Problem, SurveyError
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.fields import MAX_PROBLEMS, NAME, Fields, TooManyProblems, structure_problem
from hushtally.client_sdk.survey.privacy import FRESH, PERMANENT, Privacy
from hushtally.client_sdk.survey.question_reader import MAX_QUESTIONS, QuestionReader, only_permanent
from hushtally.client_sdk.survey.rules import RESERVED, Kind
from hushtally.client_sdk.survey.signals import Function, Signal

MAX_DAYS = 366  # from the first to the last day of a survey
MAX_SIGNALS = 128
MAX_WINDOW = 3_660  # the longest window of a signal, in days
MAX_COHORTS, MAX_COHORT_COMBINATIONS = 3, 64
NAME_RULE = "must consist of letters, digits and '_', and must not start with a digit"


class SurveyReader:
    """Reads one definition. `read` returns the survey's fields, or raises SurveyError with all problems."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        definition = dict(definition) if isinstance(definition, Mapping) else definition
        problem = structure_problem(definition)
        if problem:
            raise SurveyError([problem])
        self.problems: list[Problem] = []
        self.top = Fields(definition, "", self.problems)
        self.signals: dict[str, Signal] = {}
        self.kinds: dict[str, Kind] = {}

    def read(self) -> dict[str, Any]:
        """Return the fields of a `Survey`. Raises SurveyError with every mistake, or with the first hundred."""
        try:
            return self._survey()
        except TooManyProblems:
            more = Problem("", f"there are more mistakes; only the first {MAX_PROBLEMS} are listed")
            raise SurveyError([*self.problems, more]) from None

    def _survey(self) -> dict[str, Any]:
        top = self.top
        id = top.identifier("id")
        version = top.integer("version", 1, 1_000_000)
        title = top.string("title", max_length=200)
        purpose = top.string("purpose", max_length=2_000)
        owner = top.string("owner", max_length=200)
        word = top.choice("epoch", list(EpochLength), "week")
        epoch = EpochLength(word) if word else None
        starts, ends = self._span(epoch)
        retention_days = top.integer("retention_days", 1, 3_660, 180)
        min_reports = top.integer("min_reports", 1, 1_000_000_000, 500)
        privacy = self._privacy()
        cohorts = self._cohorts()
        self._signals()
        questions = QuestionReader(top, self.kinds, privacy, self.problems).read()
        top.close()
        if self.problems:
            raise SurveyError(self.problems)
        assert epoch is not None
        return {
            "id": id,
            "version": version,
            "title": title,
            "purpose": purpose,
            "owner": owner,
            "starts": starts,
            "ends": ends,
            "epoch": epoch,
            "retention_days": retention_days,
            "min_reports": min_reports,
            "privacy": privacy,
            "cohorts": cohorts,
            "signals": self.signals,
            "questions": questions,
        }

    def _span(self, epoch: EpochLength | None) -> tuple[Any, Any]:
        starts, ends = self.top.day("starts"), self.top.day("ends")
        if epoch and starts and starts != epoch.start(starts):
            nearest = min(epoch.start(starts), epoch.next(starts), key=lambda day: abs(day - starts))
            self.top.problem("starts", f"must be the first day of a {epoch}, got {starts}; the nearest is {nearest}")
        if epoch and ends and ends != epoch.end(ends):
            before, after = epoch.start(ends) - timedelta(days=1), epoch.end(ends)
            nearest = min(before, after, key=lambda day: abs(day - ends))
            self.top.problem("ends", f"must be the last day of a {epoch}, got {ends}; the nearest is {nearest}")
        if starts and ends:
            self._check_length(starts, ends)
        return starts, ends

    def _check_length(self, starts: date, ends: date) -> None:
        days = (ends - starts).days + 1
        if days < 1:
            self.top.problem("ends", f"must not be before starts ({starts}), got {ends}")
        elif days > MAX_DAYS:
            latest = starts + timedelta(days=MAX_DAYS - 1)
            self.top.problem(
                "ends", f"must be at most {MAX_DAYS} days after starts ({latest}), got {ends} ({days} days)"
            )

    def _privacy(self) -> Privacy:
        table = self.top.nested("privacy")
        memory = table.choice("memory", (FRESH, PERMANENT), FRESH)
        epsilon = table.number("epsilon", *EPSILON_RANGE)
        permanent, changes = None, None
        if memory == PERMANENT:
            permanent = table.number("epsilon_permanent", *EPSILON_RANGE)
            changes = table.integer("changes", 0, 100)
            if permanent and epsilon and permanent < epsilon:
                table.problem("epsilon_permanent", f"must be at least epsilon = {epsilon:g}, got {permanent:g}")
        else:
            only_permanent(memory, table, "epsilon_permanent", "changes")
        privacy = Privacy(
            epsilon=epsilon,
            questions_per_device=table.integer("questions_per_device", 1, MAX_QUESTIONS, 1),
            answers_every=table.integer("answers_every", 1, MAX_DAYS, 1),
            memory=memory,
            epsilon_permanent=permanent,
            changes=changes,
        )
        table.close()
        return privacy

    def _cohorts(self) -> dict[str, tuple[str, ...]]:
        table = Fields(dict(self.top.entries("cohorts")), "cohorts", self.problems)
        cohorts = {}
        for name in table.table:
            if not NAME.fullmatch(name):
                table.problem(name, f"the name of a cohort {NAME_RULE}")
            values = table.strings(name, 1, MAX_COHORT_COMBINATIONS)
            if values:
                cohorts[name] = values
        if len(cohorts) > MAX_COHORTS:
            table.problem("", f"must have at most {MAX_COHORTS} cohorts, got {len(cohorts)}")
        combinations = prod(map(len, cohorts.values()))
        if combinations > MAX_COHORT_COMBINATIONS:
            table.problem(
                "", f"must have at most {MAX_COHORT_COMBINATIONS} combinations of values, got {combinations:,}"
            )
        return cohorts

    def _signals(self) -> None:
        entries = list(self.top.entries("signals"))
        if len(entries) > MAX_SIGNALS:
            self.top.problem("signals", f"must have at most {MAX_SIGNALS} signals, got {len(entries)}")
        for name, value in entries[:MAX_SIGNALS]:
            table = Fields(value, f"signals.{one_line(name)}", self.problems)
            if name in RESERVED:
                table.problem(
                    "", "the name of a signal must not be a Python keyword or a function of rules; choose another name"
                )
            elif not NAME.fullmatch(name):
                table.problem("", f"the name of a signal {NAME_RULE}")
            signal = self._signal(table)
            if signal:
                self.signals[name] = signal
                self.kinds[name] = signal.kind
            elif NAME.fullmatch(name):
                # rules may still use a signal with a mistake, so that each mistake is reported once
                self.kinds[name] = Kind.STRING if table.has("top") else Kind.NUMBER

    def _signal(self, table: Fields) -> Signal | None:
        stated = [function for function in Function if table.has(function)]
        days = table.integer("days", 1, MAX_WINDOW)
        if len(stated) != 1:
            functions = ", ".join(Function)
            # if another key is present, a function is misspelt, and `close` suggests the correct name
            if stated or table.table.keys() <= {"days"}:
                table.problem("", f"must have exactly one of {functions}, got {', '.join(stated) or 'none'}")
            for name in map(str, Function):
                table.take(name, None)
            table.close()
            return None
        function = stated[0]
        source = table.string(function)
        table.close()
        if source is None or days is None:
            return None
        event, _, field = source.partition(".")
        names = [event, field] if field or function.needs_field else [event]
        if bool(field) is not function.needs_field or not all(map(NAME.fullmatch, names)):
            requirement = (
                "an event and a field, like 'purchase.amount'" if function.needs_field else "an event, like 'purchase'"
            )
            table.problem(function, f"must name {requirement}, got {source!r}")
            return None
        return Signal(function, event, field or None, days)
