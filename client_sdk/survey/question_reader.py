"""Reads the questions of a survey: their forms, rules, epsilons and mechanisms."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from hushtally.client_sdk.error_text import did_you_mean, one_line, shown
from hushtally.client_sdk.errors import MechanismError, Problem, RuleError
from hushtally.client_sdk.mechanisms import NAMES, build
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE, MAX_DOMAIN
from hushtally.client_sdk.survey.fields import Fields
from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.privacy import FRESH, PERMANENT, Privacy
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Question, Scale
from hushtally.client_sdk.survey.rules import Kind, Rule

MAX_QUESTIONS = 64
MAX_CROSSED = 4 * MAX_DOMAIN  # segments of all crosses together, whose names a device stores in memory
FORMS = ("segments", "one_of", "number", "cross")


def only_permanent(memory: str | None, table: Fields, *names: str) -> None:
    """Report the fields that need permanent memory. They are ignored if the value of memory is wrong."""
    for name in names:
        table.take(name, None)
        if table.has(name) and memory == FRESH:
            table.problem(name, "needs memory = 'permanent'; change memory, or remove this field")


class QuestionReader:
    """Reads the list `questions` of a survey whose privacy settings and signals are known."""

    def __init__(self, top: Fields, kinds: dict[str, Kind], privacy: Privacy, problems: list[Problem]) -> None:
        """top: the survey. kinds: the kind of every signal. problems: where mistakes are added."""
        self.top = top
        self.kinds = kinds
        self.privacy = privacy
        self.problems = problems
        self.crossed = 0

    def read(self) -> tuple[Question, ...]:
        """The valid questions, in order."""
        rows = list(self.top.rows("questions", 1, MAX_QUESTIONS))
        ids = [row.identifier("id") for row in rows]
        for index, id in enumerate(ids):
            if id is not None and id in ids[:index]:
                rows[index].problem("id", f"must be unique, but questions[{ids.index(id)}] has the id {id!r}, too")
        crosses = [id for id, row in zip(ids, rows, strict=True) if row.has("cross")]
        forms: dict[str, Form | None] = {}
        for id, row in zip(ids, rows, strict=True):
            forms.setdefault(id, None if row.has("cross") else self._form(row))
        for id, row in zip(ids, rows, strict=True):
            if row.has("cross"):
                forms[id] = self._cross(row, forms, crosses)
        questions = [self._question(id, row, forms[id]) for id, row in zip(ids, rows, strict=True)]
        self._check_asked(rows)
        return tuple(question for question in questions if question)

    def _check_asked(self, rows: list[Fields]) -> None:
        # counted from the rows: a question with another mistake is asked or crossed all the same
        hidden = [row for row in rows if row.table.get("only_crossed") is True]
        asked = len(rows) - len(hidden)
        per_device = self.privacy.questions_per_device or 0
        if rows and per_device > asked:
            requirement = f"must be at most {asked}, the number of questions that are asked"
            self.top.problem("privacy.questions_per_device", f"{requirement}, got {per_device}")
        crosses = [row.table["cross"] for row in rows if row.has("cross")]
        if not all(isinstance(names, list | tuple) for names in crosses):
            return
        crossed = [name for names in crosses for name in names]
        for row in hidden:
            if row.table.get("id") not in crossed:
                row.problem("only_crossed", "is true, but no question crosses this one; remove it, or add a cross")

    def _form(self, row: Fields) -> Form | None:
        stated = [form for form in FORMS if row.has(form)]
        if len(stated) != 1:
            row.problem("", f"must have exactly one of {', '.join(FORMS)}, got {', '.join(stated) or 'none'}")
            self._skip_form(row)
            return None
        if stated[0] == "segments":
            return self._conditions(row)
        return self._categories(row) if stated[0] == "one_of" else self._scale(row)

    @staticmethod
    def _skip_form(row: Fields) -> None:
        """Take the fields of all forms, so that one mistake is reported once, and a misspelt form is recognized."""
        for name in (*FORMS, "categories", "edges", "otherwise"):
            row.take(name, None)

    def _conditions(self, row: Fields) -> Form | None:
        rules: list[tuple[str, Rule]] = []
        rest: str | None = None
        seen: dict[str, int] = {}
        before = len(self.problems)
        segments = list(row.rows("segments", 1, MAX_DOMAIN))
        for index, segment in enumerate(segments):
            id = segment.identifier("id")
            if id in seen:
                segment.problem("id", f"must be unique, but segments[{seen[id]}] has the id {id!r}, too")
            elif id is not None:
                seen[id] = index
            if segment.has("when"):
                rule = self._rule(segment, "when", Kind.BOOLEAN)
                if rule:
                    rules.append((id, rule))
            elif index + 1 == len(segments):
                rest = id
            else:
                segment.problem("when", "is missing; only the last segment may be without a rule")
            segment.close()
        if rest is None and "other" in seen:
            message = "the segment 'other' is added for the remaining customers, but its id is taken"
            row.problem("segments", f"{message}; rename that segment, or remove 'when' from the last segment")
        if len(self.problems) > before or not segments:
            return None
        if not rules:
            row.problem("segments", f"must have a segment with 'when'; now every customer is in {rest!r}")
            return None
        return Conditions(tuple(rules), rest or "other")

    def _categories(self, row: Fields) -> Form | None:
        signal = row.string("one_of")
        categories = row.strings("categories", 1, MAX_DOMAIN - 1)
        if signal is not None and self.kinds.get(signal) is not Kind.STRING:
            known = [name for name, kind in self.kinds.items() if kind is Kind.STRING]
            row.problem("one_of", f"must name a signal with top, got {signal!r}{did_you_mean(signal, known)}")
            return None
        if categories and Categories.OTHER in categories:
            row.problem("categories", "'other' is always added; remove it from the list")
            return None
        return Categories(signal, categories) if signal and categories else None

    def _scale(self, row: Fields) -> Form | None:
        rule = self._rule(row, "number", Kind.NUMBER)
        edges = row.numbers("edges", 1, MAX_DOMAIN - 1)
        otherwise = row.identifier("otherwise") if row.has("otherwise") else "other"
        if edges and any(low >= high for low, high in pairwise(edges)):
            row.problem("edges", f"must be in ascending order without duplicates, got {shown(list(edges))}")
            return None
        if rule is None or edges is None or otherwise is None:
            return None
        form = Scale(rule, edges, otherwise)
        if len(set(map(edge_name, edges))) < len(edges):
            row.problem("edges", "must differ within 15 significant digits, which name the segments")
            return None
        if otherwise in form.spans:
            row.problem("otherwise", f"{otherwise!r} is the name of a segment between edges; choose another name")
            return None
        return form

    def _cross(self, row: Fields, forms: dict[str, Form | None], crosses: list[str]) -> Form | None:
        names = row.strings("cross", 2, 8)
        if [form for form in FORMS if row.has(form)] != ["cross"]:
            row.problem("", "a question with 'cross' must not have segments, one_of or number")
            self._skip_form(row)
        valid = names is not None
        for index, name in enumerate(names or ()):
            if name not in forms:
                known = [id for id in forms if id not in crosses and id is not None]
                row.problem(f"cross[{index}]", f"unknown question {name!r}{did_you_mean(name, known)}")
                valid = False
            elif name in crosses:
                row.problem(f"cross[{index}]", f"{name!r} is a cross, too; list the questions that it crosses")
                valid = False
        parts = [form for name in names or () if (form := forms.get(name))]
        if not valid or names is None or len(parts) < len(names):
            return None
        return self._joint(row, names, tuple(parts))

    def _joint(self, row: Fields, names: tuple[str, ...], parts: tuple[Form, ...]) -> Form | None:
        """The cross of valid parts, if it is small enough and its segments have different names."""
        size = prod(len(form.segments) for form in parts)
        if size > MAX_DOMAIN:
            row.problem("cross", f"must have at most {MAX_DOMAIN:,} combinations, got {size:,}")
            return None
        self.crossed += size
        if self.crossed > MAX_CROSSED:
            requirement = f"all crosses together must have at most {MAX_CROSSED:,} combinations"
            row.problem("cross", f"{requirement}, got {self.crossed:,}")
            return None
        form = Cross(names, parts)
        if len(set(form.segments)) < size:
            row.problem("cross", "two combinations have the same name; remove ' & ' from the names of categories")
            return None
        return form

    def _rule(self, row: Fields, name: str, kind: Kind) -> Rule | None:
        source = row.take(name)
        if not isinstance(source, str):
            row.problem(name, f"must be a rule in quotes, got {shown(source)}")
            return None
        try:
            return Rule.parse(source, self.kinds, kind)
        except RuleError as error:
            row.problem(name, str(error))
            return None

    def _question(self, id: str, row: Fields, form: Form | None) -> Question | None:
        privacy = self.privacy
        epsilon = row.number("epsilon", *EPSILON_RANGE, default=privacy.epsilon)
        permanent = None
        if privacy.memory == PERMANENT:
            permanent = row.number("epsilon_permanent", *EPSILON_RANGE, default=privacy.epsilon_permanent)
            if epsilon and permanent and permanent < epsilon:
                row.problem("epsilon_permanent", f"must be at least epsilon = {epsilon:g}, got {permanent:g}")
                permanent = None
        else:
            only_permanent(privacy.memory, row, "epsilon_permanent")
        only_crossed = row.boolean("only_crossed")
        title = row.string("title", None, max_length=100)
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

    @staticmethod
    def _mechanism(row: Fields) -> tuple[str | None, dict[str, object]]:
        """The name of the mechanism, or None if it is wrong, and its parameters."""
        value = row.take("mechanism", "auto")
        name, parameters = value, {}
        if isinstance(value, dict):
            name, parameters = value.get("name"), {key: given for key, given in value.items() if key != "name"}
        if not isinstance(name, str):
            row.problem("mechanism", f"must be a name, or a table with a name and parameters, got {shown(value)}")
            return None, {}
        if name not in NAMES:
            row.problem("mechanism", f"unknown mechanism {shown(name)}{did_you_mean(name, NAMES)}")
            return None, {}
        return name, parameters
