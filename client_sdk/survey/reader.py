"""Reads a survey's definition and checks everything that the contract implies, noting every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from math import prod
from typing import Any

from hushtally.client_sdk.error_text import did_you_mean, one_line, shown
from hushtally.client_sdk.errors import MechanismError, Problem, RuleError, SurveyError
from hushtally.client_sdk.mechanisms import NAMES, build
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.fields import MOST_PROBLEMS, NAME, Fields, TooManyProblems, unreadable
from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.privacy import FRESH, PERMANENT, Privacy
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Question, Scale
from hushtally.client_sdk.survey.rules import RESERVED, Kind, Rule
from hushtally.client_sdk.survey.signals import Function, Signal

LONGEST_SURVEY = 366
MOST_QUESTIONS = 64
MOST_SIGNALS = 128
MOST_SEGMENTS = 65_536
MOST_CROSSED = 4 * MOST_SEGMENTS  # of all crosses together: a device holds their names in memory
MOST_COHORTS, MOST_COHORT_COMBINATIONS = 3, 64
LONGEST_WINDOW = 3_660
FORMS = ("segments", "one_of", "number", "cross")


class SurveyReader:
    """Reads one definition; `read` returns the survey's fields or raises SurveyError with all problems."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        definition = dict(definition) if isinstance(definition, Mapping) else definition
        hopeless = unreadable(definition)
        if hopeless:
            raise SurveyError([hopeless])
        self.problems: list[Problem] = []
        self.top = Fields(definition, "", self.problems)
        self.signals: dict[str, Signal] = {}
        self.kinds: dict[str, Kind] = {}
        self.crossed = 0

    def read(self) -> dict[str, Any]:
        """The fields of a `Survey`; SurveyError names every mistake, or the first hundred."""
        try:
            return self._survey()
        except TooManyProblems:
            more = Problem("", f"and there are more mistakes than the {MOST_PROBLEMS} that are named here")
            raise SurveyError([*self.problems, more]) from None

    def _survey(self) -> dict[str, Any]:
        top = self.top
        id = top.identifier("id")
        version = top.integer("version", 1, 1_000_000)
        title = top.text("title", longest=200)
        purpose = top.text("purpose", longest=2_000)
        owner = top.text("owner", longest=200)
        word = top.choice("epoch", list(EpochLength), "week")
        epoch = EpochLength(word) if word else None
        starts, ends = self._span(epoch)
        retention_days = top.integer("retention_days", 1, 3_660, 180)
        min_reports = top.integer("min_reports", 1, 1_000_000_000, 500)
        privacy = self._privacy()
        cohorts = self._cohorts()
        self._signals()
        questions = self._questions(privacy)
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
            self.top.problem("starts", f"must be the first day of a {epoch}; the nearest is {nearest}, got {starts}")
        if epoch and ends and ends != epoch.end(ends):
            before, after = epoch.start(ends) - timedelta(days=1), epoch.end(ends)
            nearest = min(before, after, key=lambda day: abs(day - ends))
            self.top.problem("ends", f"must be the last day of a {epoch}; the nearest is {nearest}, got {ends}")
        if starts and ends:
            self._length(starts, ends)
        return starts, ends

    def _length(self, starts: date, ends: date) -> None:
        days = (ends - starts).days + 1
        if days < 1:
            self.top.problem("ends", f"must not be before starts ({starts}), got {ends}")
        elif days > LONGEST_SURVEY:
            self.top.problem("ends", f"must be at most one year ({LONGEST_SURVEY} days) after starts, got {days} days")

    def _privacy(self) -> Privacy:
        table = self.top.nested("privacy")
        memory = table.choice("memory", (FRESH, PERMANENT), FRESH)
        epsilon = table.number("epsilon", *EPSILON_RANGE)
        permanent, changes = None, None
        if memory == PERMANENT:
            permanent = table.number("epsilon_permanent", *EPSILON_RANGE)
            changes = table.integer("changes", 0, 100)
            if permanent and epsilon and permanent < epsilon:
                table.problem("epsilon_permanent", f"must not be below epsilon ({epsilon:g}), got {permanent:g}")
        else:
            self._only_permanent(memory, table, "epsilon_permanent", "changes")
        privacy = Privacy(
            epsilon=epsilon,
            questions_per_device=table.integer("questions_per_device", 1, MOST_QUESTIONS, 1),
            answers_every=table.integer("answers_every", 1, LONGEST_SURVEY, 1),
            memory=memory,
            epsilon_permanent=permanent,
            changes=changes,
        )
        table.close()
        return privacy

    @staticmethod
    def _only_permanent(memory: str | None, table: Fields, *names: str) -> None:
        for name in names:
            table.take(name, None)
            if table.has(name) and memory == FRESH:
                table.problem(name, "goes with memory = 'permanent' only")

    def _cohorts(self) -> dict[str, tuple[str, ...]]:
        table = Fields(dict(self.top.table_of("cohorts")), "cohorts", self.problems)
        cohorts = {}
        for name in table.table:
            if not NAME.fullmatch(name):
                table.problem(name, "a cohort's name must be letters, digits and '_', beginning with a letter")
            values = table.texts(name, 1, MOST_COHORT_COMBINATIONS)
            if values:
                cohorts[name] = values
        if len(cohorts) > MOST_COHORTS:
            table.problem("", f"must be at most {MOST_COHORTS}, got {len(cohorts)}")
        combinations = prod(map(len, cohorts.values()))
        if combinations > MOST_COHORT_COMBINATIONS:
            table.problem("", f"must have at most {MOST_COHORT_COMBINATIONS} combinations, got {combinations:,}")
        return cohorts

    def _signals(self) -> None:
        entries = list(self.top.table_of("signals"))
        if len(entries) > MOST_SIGNALS:
            self.top.problem("signals", f"must be at most {MOST_SIGNALS}, got {len(entries)}")
        for name, value in entries[:MOST_SIGNALS]:
            table = Fields(value, f"signals.{one_line(name)}", self.problems)
            if not NAME.fullmatch(name) or name in RESERVED:
                table.problem("", "a signal's name must be letters, digits and '_', and no word of Python")
            signal = self._signal(table)
            if signal:
                self.signals[name] = signal
                self.kinds[name] = signal.kind
            elif NAME.fullmatch(name):
                # one mistake is said once: rules may still speak of a signal that is wrong elsewhere
                self.kinds[name] = Kind.TEXT if table.has("top") else Kind.NUMBER

    def _signal(self, table: Fields) -> Signal | None:
        named = [function for function in Function if table.has(function)]
        days = table.integer("days", 1, LONGEST_WINDOW)
        if len(named) != 1:
            functions = ", ".join(Function)
            if named or table.table.keys() <= {"days"}:  # else one is misspelt: `close` tells which was meant
                table.problem("", f"must have exactly one of {functions}, got {', '.join(named) or 'none'}")
            for name in map(str, Function):
                table.take(name, None)
            table.close()
            return None
        function = named[0]
        source = table.text(function)
        table.close()
        event, _, field = (source or "").partition(".")
        if source is None or days is None:
            return None
        wanted = "event.field" if function.needs_field else "event"
        if (
            not NAME.fullmatch(event)
            or bool(field) is not function.needs_field
            or (field and not NAME.fullmatch(field))
        ):
            example = "purchase.amount" if function.needs_field else "purchase"
            table.problem(function, f"must be {wanted}, like {example!r}, got {source!r}")
            return None
        return Signal(function, event, field or None, days)

    def _questions(self, privacy: Privacy) -> tuple[Question, ...]:
        rows = list(self.top.rows("questions", 1, MOST_QUESTIONS))
        ids = [row.identifier("id") for row in rows]
        for index, id in enumerate(ids):
            if id is not None and id in ids[:index]:
                rows[index].problem("id", f"{id!r} is taken by questions[{ids.index(id)}]")
        forms: dict[str, Form | None] = {}
        for id, row in zip(ids, rows, strict=True):
            forms.setdefault(id, None if row.has("cross") else self._form(row))
        for id, row in zip(ids, rows, strict=True):
            if row.has("cross"):
                forms[id] = self._cross(
                    row, forms, [one for one, other in zip(ids, rows, strict=True) if other.has("cross")]
                )
        questions = [self._question(id, row, forms[id], privacy) for id, row in zip(ids, rows, strict=True)]
        sound = tuple(question for question in questions if question)
        self._asked(rows, privacy)
        return sound

    def _asked(self, rows: list[Fields], privacy: Privacy) -> None:
        # told from the rows, as a question that is wrong elsewhere is still asked or crossed
        hidden = [row for row in rows if row.table.get("only_crossed") is True]
        asked = len(rows) - len(hidden)
        if rows and (privacy.questions_per_device or 0) > asked:
            self.top.problem(
                "privacy.questions_per_device",
                f"must be at most the number of questions that are asked, {asked}, got {privacy.questions_per_device}",
            )
        crosses = [row.table["cross"] for row in rows if row.has("cross")]
        told = all(isinstance(names, list | tuple) for names in crosses)
        crossed = [name for names in crosses if told for name in names]
        for row in hidden:
            if told and row.table.get("id") not in crossed:
                row.problem("only_crossed", "is true, but no question crosses this one")

    def _form(self, row: Fields) -> Form | None:
        named = [form for form in FORMS if row.has(form)]
        if len(named) != 1:
            row.problem("", f"must have exactly one of {', '.join(FORMS)}, got {', '.join(named) or 'none'}")
            self._skip_form(row)
            return None
        if named[0] == "segments":
            return self._conditions(row)
        return self._categories(row) if named[0] == "one_of" else self._scale(row)

    @staticmethod
    def _skip_form(row: Fields) -> None:
        """Takes the fields of a form that is not read: one mistake is said once, and a misspelt form recognized."""
        for name in (*FORMS, "categories", "edges", "otherwise"):
            row.take(name, None)

    def _conditions(self, row: Fields) -> Form | None:
        rules: list[tuple[str, Rule]] = []
        rest: str | None = None
        seen: dict[str, int] = {}
        before = len(self.problems)
        rows = list(row.rows("segments", 1, MOST_SEGMENTS))
        for index, segment in enumerate(rows):
            id = segment.identifier("id")
            if id in seen:
                segment.problem("id", f"{id!r} is taken by segments[{seen[id]}]")
            elif id is not None:
                seen[id] = index
            if segment.has("when"):
                rule = self._rule(segment, "when", Kind.TRUTH)
                if rule:
                    rules.append((id, rule))
            elif index + 1 == len(rows):
                rest = id
            else:
                segment.problem("when", "is missing: only the last segment may take the rest")
            segment.close()
        if rest is None and "other" in seen:
            row.problem("segments", "the last segment must be without 'when', as 'other' is already one of the others")
        if len(self.problems) > before or not rows:
            return None
        if not rules:
            row.problem("segments", f"must tell customers apart, but all would be in {rest!r}: give it a 'when'")
            return None
        return Conditions(tuple(rules), rest or "other")

    def _categories(self, row: Fields) -> Form | None:
        signal = row.text("one_of")
        categories = row.texts("categories", 1, MOST_SEGMENTS - 1)
        if signal is not None and self.kinds.get(signal) is not Kind.TEXT:
            names = [name for name, kind in self.kinds.items() if kind is Kind.TEXT]
            row.problem("one_of", f"must be a signal made by top, got {signal!r}{did_you_mean(signal, names)}")
            return None
        if categories and Categories.OTHER in categories:
            row.problem("categories", "'other' is always there: leave it out")
            return None
        return Categories(signal, categories) if signal and categories else None

    def _scale(self, row: Fields) -> Form | None:
        rule = self._rule(row, "number", Kind.NUMBER)
        edges = row.numbers("edges", 1, MOST_SEGMENTS - 1)
        otherwise = row.identifier("otherwise") if row.has("otherwise") else "other"
        if edges and any(low >= high for low, high in pairwise(edges)):
            row.problem("edges", f"must rise, got {shown(list(edges))}")
            return None
        if rule is None or edges is None or otherwise is None:
            return None
        form = Scale(rule, edges, otherwise)
        if len(set(map(edge_name, edges))) < len(edges):
            row.problem("edges", "are too close together to be told apart by their names")
            return None
        if otherwise in form.spans:
            row.problem("otherwise", f"{otherwise!r} is the name of a segment between edges")
            return None
        return form

    def _cross(self, row: Fields, forms: dict[str, Form | None], crosses: list[str]) -> Form | None:
        names = row.texts("cross", 2, 8)
        if [form for form in FORMS if row.has(form)] != ["cross"]:
            row.problem("", "a question with 'cross' takes its segments from the crossed questions alone")
            self._skip_form(row)
        sound = names is not None
        for index, name in enumerate(names or ()):
            if name not in forms:
                known = [one for one in forms if one not in crosses and one is not None]
                row.problem(f"cross[{index}]", f"unknown question {name!r}{did_you_mean(name, known)}")
                sound = False
            elif name in crosses:
                row.problem(f"cross[{index}]", f"{name!r} is a cross itself: name its parts")
                sound = False
        parts = [form for name in names or () if (form := forms.get(name))]
        if not sound or names is None or len(parts) < len(names):
            return None
        size = prod(len(form.segments) for form in parts)
        if size > MOST_SEGMENTS:
            row.problem("cross", f"must have at most {MOST_SEGMENTS:,} combinations, got {size:,}")
            return None
        self.crossed += size
        if self.crossed > MOST_CROSSED:
            row.problem("cross", f"all crosses together must have at most {MOST_CROSSED:,} combinations")
            return None
        form = Cross(names, tuple(parts))
        if len(set(form.segments)) < size:
            row.problem("cross", "has two combinations of the same name: leave ' & ' out of the categories")
            return None
        return form

    def _rule(self, row: Fields, name: str, kind: Kind) -> Rule | None:
        source = row.take(name)
        if not isinstance(source, str):
            row.problem(name, f"must be an expression in quotes, got {shown(source)}")
            return None
        try:
            return Rule.parse(source, self.kinds, kind)
        except RuleError as error:
            row.problem(name, str(error))
            return None

    def _question(self, id: str, row: Fields, form: Form | None, privacy: Privacy) -> Question | None:
        epsilon = row.number("epsilon", *EPSILON_RANGE, default=privacy.epsilon)
        permanent = None
        if privacy.memory == PERMANENT:
            permanent = row.number("epsilon_permanent", *EPSILON_RANGE, default=privacy.epsilon_permanent)
            if epsilon and permanent and permanent < epsilon:
                row.problem("epsilon_permanent", f"must not be below its epsilon ({epsilon:g}), got {permanent:g}")
                permanent = None
        else:
            self._only_permanent(privacy.memory, row, "epsilon_permanent")
        only_crossed = row.flag("only_crossed")
        title = row.text("title", None, longest=100)
        name, parameters = self._mechanism(row)
        row.close()
        ready = id and form and epsilon and (permanent or privacy.memory == FRESH)
        if not ready or form is None or name is None:
            return None
        try:
            mechanism = build(name, parameters, len(form.segments), epsilon, permanent)
        except MechanismError as error:
            row.problem("mechanism", one_line(str(error), 500))
            return None
        return Question(id, form, mechanism, epsilon, permanent, only_crossed, title)

    def _mechanism(self, row: Fields) -> tuple[str | None, dict[str, object]]:
        value = row.take("mechanism", "auto")
        name, parameters = value, {}
        if isinstance(value, dict):
            name, parameters = value.get("name"), {key: one for key, one in value.items() if key != "name"}
        if not isinstance(name, str):
            row.problem("mechanism", f"must be a name, or a table with a name and its parameters, got {shown(value)}")
            return None, {}
        if name not in NAMES:
            row.problem("mechanism", f"must be a mechanism, got {shown(name)}{did_you_mean(name, NAMES)}")
            return None, {}
        return name, parameters
