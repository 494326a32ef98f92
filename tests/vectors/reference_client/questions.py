"""The answer to a question: the index of its segment."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

from reference_client.rules import NUMBER, STRING, Signals, holds, number


class Questions:
    """The questions of a survey, as the table that its TOML contains."""

    def __init__(self, survey: dict[str, Any]) -> None:
        self.by_id = {question["id"]: question for question in survey["questions"]}
        self.types = {name: STRING if "top" in stated else NUMBER for name, stated in survey["signals"].items()}

    def segments(self, id: str) -> list[str]:
        """The names of the segments, in the order of the domain."""
        question = self.by_id[id]
        if "segments" in question:
            names = [segment["id"] for segment in question["segments"]]
            return names if "when" not in question["segments"][-1] else [*names, "other"]
        if "one_of" in question:
            return [*question["categories"], "other"]
        if "number" in question:
            edges = [f"{edge:.15g}" for edge in question["edges"]]
            spans = [f"{low}-{high}" for low, high in pairwise(edges)]
            return [*spans, f"{edges[-1]}+", question.get("otherwise", "other")]
        return [" & ".join(names) for names in product(*map(self.segments, question["cross"]))]

    def answer(self, id: str, signals: Signals) -> int:
        question = self.by_id[id]
        if "segments" in question:
            rules = [segment["when"] for segment in question["segments"] if "when" in segment]
            return next((index for index, rule in enumerate(rules) if holds(rule, signals, self.types)), len(rules))
        if "one_of" in question:
            categories = question["categories"]
            chosen = signals[question["one_of"]]
            return categories.index(chosen) if chosen in categories else len(categories)
        if "number" in question:
            found = number(question["number"], signals, self.types)
            edges = [edge for edge in question["edges"] if found is not None and edge <= found]
            return len(edges) - 1 if edges else len(question["edges"])
        index = 0
        for part in question["cross"]:
            index = index * len(self.segments(part)) + self.answer(part, signals)
        return index
