"""The second client makes the published choices and symbols from the published random words."""

from __future__ import annotations

from typing import Any

import pytest
from published import FOLDER, load
from reference_client.mechanism import Mechanism
from reference_client.rappor import Rappor
from reference_client.weights import weights
from reference_client.words import Words

CASES = [
    pytest.param(case, id=f"{path.stem}-{n}")
    for path in sorted(FOLDER.glob("*.json"))
    for n, case in enumerate(load(path.stem).get("cases", []))
    if "perturb" in case
]


def replay(step: dict[str, Any], draw: Any) -> int:
    """The result of `draw` with the words of a step. It must take all of them."""
    words = Words(step["words"])
    result: int = draw(words)
    assert words.left == []
    return result


@pytest.mark.parametrize("step", load("randomness")["below"], ids=lambda step: step["n"])
def test_words_become_the_published_integers(step: dict[str, Any]) -> None:
    assert replay(step, lambda words: words.below(int(step["n"]))) == int(step["drawn"])


@pytest.mark.parametrize("step", load("randomness")["weights"], ids=lambda step: str(step["epsilon"]))
def test_epsilon_becomes_the_published_weights(step: dict[str, Any]) -> None:
    assert weights(step["epsilon"]) == (step["near"], step["far"])


@pytest.mark.parametrize("case", CASES)
def test_a_mechanism_makes_the_published_symbols(case: dict[str, Any]) -> None:
    """Every symbol follows from the description, the value and the words, by the rules of the README."""
    mechanism = Mechanism(case["description"], case["ask"]["domain"])
    for step in case["perturb"]:
        assert replay(step, lambda words, s=step: mechanism.perturb(s["value"], words)) == step["symbol"]
    assert mechanism.permanent == ("draw" in case)
    for step in case.get("draw", []):
        permanent = replay(step, lambda words, s=step: mechanism.draw(s["value"], s["previous"], words))
        assert permanent == step["permanent"]
    for step in case.get("repeat", []):
        assert replay(step, lambda words, s=step: mechanism.repeat(s["permanent"], words)) == step["symbol"]


@pytest.mark.parametrize("case", CASES)
def test_a_symbol_supports_the_published_values(case: dict[str, Any]) -> None:
    mechanism = Mechanism(case["description"], case["ask"]["domain"])
    for step in case["supports"]:
        assert [v for v in step["of"] if mechanism.supports(step["symbol"], v)] == step["supported"]


@pytest.mark.parametrize("case", load("rappor")["cases"], ids=lambda case: case["description"]["k"])
def test_rappor_sets_the_published_bits(case: dict[str, Any]) -> None:
    rappor = Rappor(case["description"])
    assert [rappor.bits(step["group"], step["value"]) for step in case["bits"]] == [
        step["bits"] for step in case["bits"]
    ]
