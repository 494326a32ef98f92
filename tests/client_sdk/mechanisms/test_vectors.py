"""The shipped code reproduces the vectors that other clients rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import ROUND_UP, Context, Inexact, Rounded, localcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.errors import MechanismError, SurveyError
from hushtally.client_sdk.mechanisms import NAMES, PermanentMechanism, Rappor, Weights, build, describe
from hushtally.client_sdk.survey import Survey

VECTORS = Path(__file__).parents[2] / "vectors"
Script = Callable[[Iterable[int]], Any]


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


CASES = [pytest.param(case, id=f"{name}-{n}") for name in NAMES for n, case in enumerate(load(name)["cases"])]
INVALID = [pytest.param(case, id=f"{name}-{n}") for name in NAMES for n, case in enumerate(load(name)["invalid"])]


def replay(scripted: Script, step: dict[str, Any], draw: Callable[[Any], int]) -> int:
    """The result of `draw` with the words of a step. It must take all of them."""
    randomness = scripted(int(word, 16) for word in step["words"])
    drawn = draw(randomness)
    assert randomness.left == []
    return drawn


@pytest.mark.parametrize("case", CASES)
def test_a_mechanism_reproduces_its_vectors(case: dict[str, Any], scripted: Script) -> None:
    mechanism = build(**case["ask"])
    assert describe(mechanism) == case["description"]
    assert case["channel"] == {"p": str(mechanism.exact_channel.p), "q": str(mechanism.exact_channel.q)}
    for step in case["perturb"]:
        assert replay(scripted, step, lambda r, s=step: mechanism.perturb(s["value"], r)) == step["symbol"]
    for step in case["supports"]:
        assert [value for value in step["of"] if mechanism.supports(step["symbol"], value)] == step["supported"]
    assert isinstance(mechanism, PermanentMechanism) == ("draw" in case)
    if isinstance(mechanism, PermanentMechanism):
        for step in case["draw"]:
            drawn = replay(scripted, step, lambda r, s=step: mechanism.draw(s["value"], r, s["previous"]))
            assert drawn == step["permanent"]
        for step in case["repeat"]:
            assert replay(scripted, step, lambda r, s=step: mechanism.repeat(s["permanent"], r)) == step["symbol"]
    if isinstance(mechanism, Rappor):
        for step in case["bits"]:
            assert mechanism.bits(step["group"], step["value"]) == step["bits"]


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_refused(case: dict[str, Any]) -> None:
    """Refusing is the contract. The message may differ from the published one; test_registry.py checks messages."""
    with pytest.raises(MechanismError, match=r"^.+$"):
        build(**case["ask"])


@pytest.mark.parametrize("step", load("randomness")["below"], ids=lambda step: step["n"])
def test_words_become_the_published_integers(step: dict[str, Any], scripted: Script) -> None:
    assert replay(scripted, step, lambda r: r.below(int(step["n"]))) == int(step["drawn"])


@pytest.mark.parametrize("step", load("randomness")["weights"], ids=lambda step: str(step["epsilon"]))
def test_epsilon_becomes_the_published_weights(step: dict[str, Any]) -> None:
    assert Weights.of(step["epsilon"]) == Weights(step["near"], step["far"])


@pytest.mark.parametrize("case", load("survey")["cases"], ids=lambda case: case["digest"][:8])
def test_a_survey_has_the_published_digest(case: dict[str, Any]) -> None:
    """Its canonical JSON is the published one, too, and reading the JSON back gives an equal survey."""
    survey = Survey.parse(case["toml"])
    assert canonical_json(survey.resolved) == case["canonical"]
    assert survey.digest == case["digest"] == sha256(case["canonical"].encode()).hexdigest()
    assert Survey.from_resolved(json.loads(case["canonical"])) == survey


def strict_context(**settings: Any) -> Context:
    """The decimal context of an app that computes amounts of money."""
    return Context(traps=[Inexact, Rounded], **settings)


@pytest.mark.parametrize(
    "context", [strict_context(prec=6, rounding=ROUND_UP), strict_context(prec=1), Context(prec=3, Emax=5)]
)
def test_the_apps_decimal_context_changes_nothing(context: Context) -> None:
    """Neither the weights nor the digest, to which consent is bound."""
    with localcontext(context):
        for step in load("randomness")["weights"]:
            Weights.of.cache_clear()
            test_epsilon_becomes_the_published_weights(step)
        for case in load("survey")["cases"]:
            Weights.of.cache_clear()
            test_a_survey_has_the_published_digest(case)
        assert build("sue", {}, 4, 1.0).epsilon <= 1


@pytest.mark.parametrize("case", load("survey")["invalid"], ids=lambda case: case["problems"][0].split(":")[0])
def test_an_invalid_survey_is_refused(case: dict[str, Any]) -> None:
    """The problems are at the published places. The messages may differ from the published ones."""
    with pytest.raises(SurveyError) as caught:
        Survey.parse(case["toml"])
    assert [problem.place for problem in caught.value.problems] == [line.split(": ")[0] for line in case["problems"]]
