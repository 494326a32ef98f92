"""Write the vectors: python tests/vectors/generate.py [FOLDER]. README.md says what they mean.

They are a contract with clients in other languages: a change to a file that is already published is a new format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import answer_cases
import mechanism_cases
import rule_cases
import schedule_cases
import signal_cases

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.errors import MechanismError, RuleError, SurveyError
from hushtally.client_sdk.mechanisms import NAMES, Mechanism, PermanentMechanism, Rappor, Weights, build, describe
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.rules import Kind, Rule

FORMAT = 1
HERE = Path(__file__).parent
ALL_VALUES = 16  # a larger domain states the supports of a sample
DRAWS = 12


class Recorder(Randomness):
    """Seeded words, kept as they are taken."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.taken: list[str] = []

    def word(self) -> int:
        word = self.random.getrandbits(64)
        self.taken.append(f"{word:016x}")
        return word

    def watch(self, draw: Callable[[Randomness], int]) -> tuple[list[str], int]:
        """The words that `draw` takes, and what it makes of them."""
        self.taken = []
        drawn = draw(self)
        return self.taken, drawn


def asked(name: str, parameters: dict[str, Any], domain: int, epsilon: float, lasting: float | None) -> dict[str, Any]:
    survey = {"name": name, "parameters": parameters, "domain": domain, "epsilon": epsilon}
    return survey if lasting is None else survey | {"epsilon_permanent": lasting}


def case(survey: dict[str, Any]) -> dict[str, Any]:
    mechanism = build(**survey)
    recorder = Recorder(json.dumps(survey, sort_keys=True))
    values = range(mechanism.domain)
    some = [recorder.random.randrange(mechanism.domain) for _ in range(DRAWS)]
    made: dict[str, Any] = {
        "ask": survey,
        "description": describe(mechanism),
        "channel": shown(mechanism.exact_channel),
    }
    made["perturb"] = []
    for value in some:
        words, symbol = recorder.watch(lambda randomness, value=value: mechanism.perturb(value, randomness))
        made["perturb"].append({"value": value, "words": words, "symbol": symbol})
    if isinstance(mechanism, PermanentMechanism):
        made["draw"], made["repeat"] = memory(mechanism, some, recorder)
    if isinstance(mechanism, Rappor):
        made["bits"] = [
            {"group": v % mechanism.m, "value": v, "bits": mechanism.bits(v % mechanism.m, v)} for v in some
        ]
    asked_about = values if len(values) <= ALL_VALUES else sorted(set(some) | {0, len(values) - 1})
    made["supports"] = [
        {"symbol": symbol, "of": list(asked_about), "supported": supported(mechanism, symbol, asked_about)}
        for symbol in sorted({0, mechanism.symbols - 1} | {one["symbol"] for one in made["perturb"]})
    ]
    return made


def supported(mechanism: Mechanism, symbol: int, values: Any) -> list[int]:
    return [value for value in values if mechanism.supports(symbol, value)]


def memory(
    mechanism: PermanentMechanism, some: list[int], recorder: Recorder
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    draws, repeats = [], []
    previous = None
    for value in some[:6]:
        words, permanent = recorder.watch(lambda randomness, v=value, p=previous: mechanism.draw(v, randomness, p))
        draws.append({"value": value, "previous": previous, "words": words, "permanent": permanent})
        previous = permanent
        words, symbol = recorder.watch(lambda randomness, p=permanent: mechanism.repeat(p, randomness))
        repeats.append({"permanent": permanent, "words": words, "symbol": symbol})
    return draws, repeats


def shown(channel: Channel) -> dict[str, str]:
    return {"p": str(channel.p), "q": str(channel.q)}


def refused(survey: dict[str, Any]) -> dict[str, Any]:
    try:
        build(**survey)
    except MechanismError as error:
        return {"ask": survey, "error": str(error)}
    raise AssertionError(f"{survey} was accepted")


def below(n: int) -> list[dict[str, Any]]:
    recorder = Recorder(str(n))
    draws = [recorder.watch(lambda randomness: randomness.below(n)) for _ in range(4)]
    return [{"n": str(n), "words": words, "drawn": str(drawn)} for words, drawn in draws]


def surveys() -> dict[str, Any]:
    """A survey for every mechanism, with its canonical JSON and digest, and some that must be refused."""
    memory = 'memory = "permanent"\nepsilon_permanent = 2.2\nchanges = 3'
    texts = [mechanism_cases.SURVEY.format("", "", asked_for) for asked_for in mechanism_cases.MECHANISMS.values()]
    texts.append(mechanism_cases.SURVEY.format('epoch = "week"', memory, '"auto"'))
    cases = []
    for text in texts:
        survey = Survey.parse(text)
        cases.append({"toml": text, "canonical": canonical_json(survey.resolved), "digest": survey.digest})
    wrong = [texts[0].replace(*change) for change in mechanism_cases.MISTAKES]
    return {"cases": cases, "invalid": [{"toml": text, "problems": problems(text)} for text in wrong]}


def problems(text: str) -> list[str]:
    try:
        Survey.parse(text)
    except SurveyError as error:
        return [str(problem) for problem in error.problems]
    raise AssertionError(f"{text} was accepted")


def signals() -> dict[str, Any]:
    """What is kept of a field's value, and what signals make of events."""
    return {
        "recorded": rows(signal_cases.RECORDED, "value", "kept"),
        "recorded_to_sum": rows(signal_cases.RECORDED_TO_SUM, "value", "kept"),
        "cases": rows(signal_cases.SIGNALS, "signal", "today", "events", "value"),
    }


def rules() -> dict[str, Any]:
    """Rules that hold or not or yield a number, and those that must be refused."""
    return {
        "signals": rule_cases.KINDS,
        "conditions": rows(rule_cases.CONDITIONS, "rule", "signals", "holds"),
        "numbers": rows(rule_cases.NUMBERS, "rule", "signals", "number"),
        "invalid": [
            {"rule": source, "yields": kind, "error": refusal(source, kind)} for source, kind in rule_cases.REFUSED
        ],
    }


def refusal(source: str, kind: str) -> str:
    kinds = {"number": Kind.NUMBER, "text": Kind.TEXT, "truth": Kind.TRUTH}
    try:
        Rule.parse(source, {name: kinds[one] for name, one in rule_cases.KINDS.items()}, kinds[kind])
    except RuleError as error:
        return str(error)
    raise AssertionError(f"{source} was accepted")


def answers() -> dict[str, Any]:
    """From events to the index of every question's segment."""
    cases = []
    for events, values, segments in answer_cases.ANSWERS:
        told = dict(zip(answer_cases.SIGNAL_NAMES, values, strict=True))
        questions = zip(answer_cases.SEGMENTS.items(), segments, strict=True)
        chosen = {id: names.index(segment) for (id, names), segment in questions}
        cases.append({"today": answer_cases.TODAY, "events": events, "signals": told, "answers": chosen})
    return {"toml": answer_cases.SURVEY, "segments": answer_cases.SEGMENTS, "cases": cases}


def schedule() -> dict[str, Any]:
    """Epochs, the surveys that run in them, and permanent memory."""
    return {
        "epochs": rows(schedule_cases.EPOCHS, "epoch", "day", "label", "first", "last"),
        "closing": rows(schedule_cases.CLOSING, "epoch", "label", "retention_days", "accepted_until", "erased_on"),
        "cases": [{"survey": survey, **follows} for survey, follows in schedule_cases.SURVEYS],
        "memory": rows(schedule_cases.MEMORY, "changes", "values", "repeated", "new"),
        "invalid": rows(schedule_cases.NO_EPOCHS, "epoch", "label"),
    }


def rows(cases: list[Any], *keys: str) -> list[dict[str, Any]]:
    return [dict(zip(keys, one, strict=True)) for one in cases]


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """One case per line: a difference shows where it is."""
    parts = [f'"{key}":{listed(value)}' for key, value in content.items()]
    text = f'{{"format":{FORMAT},' + ",\n".join(parts) + "}\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def listed(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",\n".join(map(listed, value)) + "]"
    return json.dumps(value, separators=(",", ":"))


def randomness() -> dict[str, Any]:
    """The integers that words make, and the weights that epsilon makes."""
    return {
        "below": [one for n in mechanism_cases.BELOW for one in below(n)],
        "weights": [
            {"epsilon": e, "near": Weights.of(e).near, "far": Weights.of(e).far} for e in mechanism_cases.EPSILONS
        ],
    }


def mechanism(name: str) -> dict[str, Any]:
    """Every way to ask for a mechanism, and those that must be refused."""
    cases = [case(asked(name, *one)) for one in mechanism_cases.ASKED[name]]
    return {"cases": cases, "invalid": [refused(asked(name, *one)) for one in mechanism_cases.INVALID[name]]}


def main(folder: Path) -> None:
    for name in NAMES:
        write(folder, name, mechanism(name))
    write(folder, "randomness", randomness())
    write(folder, "survey", surveys())
    write(folder, "signals", signals())
    write(folder, "rules", rules())
    write(folder, "answers", answers())
    write(folder, "schedule", schedule())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE)
