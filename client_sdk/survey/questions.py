"""Questions: how the signals of one customer become one value of an ordered domain of segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

from hushtally.client_sdk.mechanisms import Mechanism, build, describe, max_symbols_permanent
from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.rules import Rule

Signals = Mapping[str, float | str | None]


class Form(ABC):
    """The shape of a question: its segments, and which of them a customer is in."""

    @property
    @abstractmethod
    def segments(self) -> tuple[str, ...]:
        """The ids of the segments, in the order of the domain."""

    @abstractmethod
    def value(self, signals: Signals) -> int:
        """The index of the segment for these signals. Never raises; never leaves the device as it is."""

    @property
    @abstractmethod
    def needs(self) -> set[str]:
        """The names of the signals that `value` looks at."""

    @property
    @abstractmethod
    def definition(self) -> dict[str, object]:
        """The fields that state this form in a resolved survey."""


@dataclass(frozen=True)
class Conditions(Form):
    """Segments by rules: the first whose rule holds; the last one takes the rest."""

    rules: tuple[tuple[str, Rule], ...]
    rest: str

    @property
    def segments(self) -> tuple[str, ...]:
        return (*(segment for segment, _ in self.rules), self.rest)

    def value(self, signals: Signals) -> int:
        for index, (_, rule) in enumerate(self.rules):
            if rule.holds(signals):
                return index
        return len(self.rules)

    @property
    def needs(self) -> set[str]:
        return {name for _, rule in self.rules for name in rule.signals}

    @property
    def definition(self) -> dict[str, object]:
        stated = [{"id": segment, "when": rule.source} for segment, rule in self.rules]
        return {"segments": [*stated, {"id": self.rest}]}


@dataclass(frozen=True)
class Categories(Form):
    """The value of a `top` signal among declared categories; anything else, or nothing, is "other"."""

    signal: str
    categories: tuple[str, ...]

    OTHER = "other"

    @property
    def segments(self) -> tuple[str, ...]:
        return (*self.categories, self.OTHER)

    @cached_property
    def _index(self) -> dict[object, int]:
        return {category: index for index, category in enumerate(self.categories)}

    def value(self, signals: Signals) -> int:
        return self._index.get(signals.get(self.signal), len(self.categories))

    @property
    def needs(self) -> set[str]:
        return {self.signal}

    @property
    def definition(self) -> dict[str, object]:
        return {"one_of": self.signal, "categories": list(self.categories)}


@dataclass(frozen=True)
class Scale(Form):
    """A number between edges: each segment holds its lower edge; what fails or lies below all is `otherwise`."""

    rule: Rule
    edges: tuple[float, ...]
    otherwise: str

    @property
    def segments(self) -> tuple[str, ...]:
        return (*self.spans, self.otherwise)

    @property
    def spans(self) -> tuple[str, ...]:
        """The names of the segments between the edges, and of the last one, which has no end."""
        names = [edge_name(edge) for edge in self.edges]
        return (*map("-".join, pairwise(names)), f"{names[-1]}+")

    def value(self, signals: Signals) -> int:
        number = self.rule.number(signals)
        if number is None or number < self.edges[0]:
            return len(self.edges)
        return bisect_right(self.edges, number) - 1

    @property
    def needs(self) -> set[str]:
        return self.rule.signals

    @property
    def definition(self) -> dict[str, object]:
        return {"number": self.rule.source, "edges": list(self.edges), "otherwise": self.otherwise}


@dataclass(frozen=True)
class Cross(Form):
    """The joint table of other questions: one segment for every combination of theirs."""

    questions: tuple[str, ...]
    forms: tuple[Form, ...]

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return tuple(" & ".join(parts) for parts in product(*(form.segments for form in self.forms)))

    def value(self, signals: Signals) -> int:
        index = 0
        for form in self.forms:
            index = index * len(form.segments) + form.value(signals)
        return index

    @property
    def needs(self) -> set[str]:
        return {name for form in self.forms for name in form.needs}

    @property
    def definition(self) -> dict[str, object]:
        return {"cross": list(self.questions)}


@dataclass(frozen=True)
class Question:
    """One question of a survey: its form, the mechanism that hides the answer, and what one report may reveal."""

    id: str
    form: Form
    mechanism: Mechanism
    epsilon: float
    epsilon_permanent: float | None = None
    only_crossed: bool = False
    title: str | None = None

    @property
    def name(self) -> str:
        """What people are shown: its title, and the id for whoever checks; the id alone where it has no title."""
        return f"{self.title} ({self.id})" if self.title else self.id

    @property
    def segments(self) -> tuple[str, ...]:
        """The ids of the segments, in the order of the domain."""
        return self.form.segments

    @property
    def automatic(self) -> bool:
        """Whether the mechanism is the one that the number of segments and epsilon choose, named or not."""
        return describe(self.mechanism) == describe(self.best)

    @property
    def best(self) -> Mechanism:
        """The mechanism that the number of segments and epsilon choose."""
        return build("auto", {}, len(self.segments), self.epsilon, self.epsilon_permanent)

    @property
    def linkable(self) -> bool:
        """Whether so many symbols are reused that one which comes again tells which device sent it."""
        return self.epsilon_permanent is not None and self.mechanism.symbols > max_symbols_permanent(len(self.segments))

    @property
    def resolved(self) -> dict[str, object]:
        """The question as the resolved survey states it."""
        titled = {"title": self.title} if self.title else {}  # a survey without titles keeps its digest
        stated: dict[str, object] = {"id": self.id, **titled, **self.form.definition, "epsilon": self.epsilon}
        if self.epsilon_permanent is not None:
            stated["epsilon_permanent"] = self.epsilon_permanent
        return stated | {"only_crossed": self.only_crossed, "mechanism": describe(self.mechanism)}
