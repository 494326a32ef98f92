"""When a device answers, what the answers cost, and which symbol permanent memory repeats."""

from __future__ import annotations

from datetime import date
from typing import Any

from reference_client.epochs import between


def schedule(survey: dict[str, Any]) -> dict[str, Any]:
    """What follows from a survey's dates and privacy settings."""
    epochs = between(survey["epoch"], date.fromisoformat(survey["starts"]), date.fromisoformat(survey["ends"]))
    every = survey["answers_every"]
    answers = -(-len(epochs) // every)
    charges, epsilons = answers, survey["epsilons"]
    if survey.get("memory") == "permanent":
        charges, epsilons = min(answers, 1 + survey["changes"]), survey["epsilons_permanent"]
    largest = sorted(epsilons, reverse=True)[: survey.get("questions_per_device", 1)]
    return {
        "epochs": len(epochs),
        "answers": answers,
        "lifetime_epsilon": charges * sum(largest),
        "phases": [epochs[phase::every] for phase in range(every)],
    }


def permanent_memory(changes: int, values: list[int]) -> tuple[list[int], list[bool]]:
    """For successive answers: the value whose permanent symbol is repeated, and whether the symbol is new."""
    drawn: set[int] = set()
    repeated: list[int] = []
    new: list[bool] = []
    for value in values:
        new.append(value not in drawn and len(drawn) <= changes)
        if new[-1]:
            drawn.add(value)
        repeated.append(value if value in drawn else repeated[-1])
    return repeated, new
