"""Every vector as a check of a client: the second client, or the second client with a mistake."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from edited import edited
from published import load, number, signal_values


class Vector(NamedTuple):
    """A vector: the name of its file, its place there, and a check that raises an exception if a client fails."""

    file: str
    place: str
    check: Callable[[SimpleNamespace], None]


def vectors() -> list[Vector]:
    """All vectors. The checks take the modules of a client; see `reference_modules.load`."""
    return [
        Vector(name, f"{key}[{index}]", partial(check, case))
        for name, checks in CHECKS.items()
        for key, check in checks.items()
        for index, case in enumerate(load(name)[key])
    ]


def refuses(refusal: type[Exception], call: Callable[[], object]) -> None:
    """Require that the call raises the exception."""
    try:
        call()
    except refusal:
        return
    raise AssertionError("was not refused")


def words_of(client: SimpleNamespace, step: dict[str, Any], draw: Callable[[Any], Any]) -> Any:
    """The result of `draw` with the words of a step. It must take all of them."""
    words = client.words.Words(step["words"])
    result = draw(words)
    assert words.left == []
    return result


def recorded(summed: bool, case: dict[str, Any], client: SimpleNamespace) -> None:
    kept = client.recorded.stored(case["value"], summed)
    assert kept == case["kept"]
    assert isinstance(kept, str) is isinstance(case["kept"], str)


def signal(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.signals.signal(case["signal"], case["today"], case["events"]) == number(case["value"])


RULES = load("rules")


def condition(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.rules.holds(case["rule"], signal_values(case), RULES["signals"]) is case["holds"]


def rule_number(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.rules.number(case["rule"], signal_values(case), RULES["signals"]) == number(case["number"])


def invalid_rule(case: dict[str, Any], client: SimpleNamespace) -> None:
    parser = client.rules.Parser
    refuses(client.tokens.InvalidRule, lambda: parser(case["rule"], RULES["signals"]).read(case["yields"]))


ANSWERS = load("answers")


def answers(prefix: str, case: dict[str, Any], client: SimpleNamespace) -> None:
    survey = tomllib.loads(ANSWERS[f"{prefix}toml"])
    signals = {
        name: client.signals.signal(stated, case["today"], case["events"]) for name, stated in survey["signals"].items()
    }
    assert signals == signal_values(case)
    questions = client.questions.Questions(survey)
    assert {id: questions.answer(id, signals) for id in questions.by_id} == case["answers"]
    assert {id: questions.segments(id) for id in questions.by_id} == ANSWERS[f"{prefix}segments"]


def epoch(case: dict[str, Any], client: SimpleNamespace) -> None:
    epochs = client.epochs
    assert epochs.label(case["epoch"], date.fromisoformat(case["day"])) == case["label"]
    assert epochs.first_day(case["epoch"], case["label"]).isoformat() == case["first"]
    assert epochs.last_day(case["epoch"], case["label"]).isoformat() == case["last"]


def closing(case: dict[str, Any], client: SimpleNamespace) -> None:
    days = client.epochs.closing(case["epoch"], case["label"], case["retention_days"])
    assert [day.isoformat() for day in days] == [case["accepted_until"], case["erased_on"]]


def schedule(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert {"survey": case["survey"], **client.schedule.schedule(case["survey"])} == case


def memory(case: dict[str, Any], client: SimpleNamespace) -> None:
    found = client.schedule.permanent_memory(case["changes"], case["values"])
    assert found == (case["repeated"], case["new"])


def invalid_label(case: dict[str, Any], client: SimpleNamespace) -> None:
    refuses(ValueError, lambda: client.epochs.first_day(case["epoch"], case["label"]))


def below(step: dict[str, Any], client: SimpleNamespace) -> None:
    assert words_of(client, step, lambda words: words.below(int(step["n"]))) == int(step["drawn"])


def weights(step: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.weights.weights(step["epsilon"]) == (step["near"], step["far"])


def repeat(step: dict[str, Any], client: SimpleNamespace) -> None:
    found = client.mechanism.Mechanism(step["description"], step["of"])
    assert words_of(client, step, lambda words: found.repeat(step["permanent"], words)) == step["symbol"]


def mechanism(case: dict[str, Any], client: SimpleNamespace) -> None:
    """Every symbol follows from the description, the value and the words, by the rules of the README."""
    ask = case["ask"]
    derived = client.described.description(
        case["description"], ask["domain"], ask["epsilon"], ask.get("epsilon_permanent")
    )
    assert derived == case["description"]
    p, q = client.channel.channel(case["description"], ask["domain"])
    assert case["channel"] == {"p": str(p), "q": str(q)}
    found = client.mechanism.Mechanism(case["description"], ask["domain"])
    for step in case["perturb"]:
        assert words_of(client, step, lambda words, s=step: found.perturb(s["value"], words)) == step["symbol"]
    assert found.permanent == ("draw" in case)
    for step in case.get("draw", []):
        permanent = words_of(client, step, lambda words, s=step: found.draw(s["value"], s["previous"], words))
        assert permanent == step["permanent"]
    for step in case.get("repeat", []):
        assert words_of(client, step, lambda words, s=step: found.repeat(s["permanent"], words)) == step["symbol"]
    for step in case["supports"]:
        assert [v for v in step["of"] if found.supports(step["symbol"], v)] == step["supported"]
    for step in case.get("bits", []):
        assert client.rappor.Rappor(case["description"]).bits(step["group"], step["value"]) == step["bits"]


def invalid_mechanism(case: dict[str, Any], client: SimpleNamespace) -> None:
    """A client refuses a description with these parameters. Without parameters, the request is not a description."""
    ask = case["ask"]
    if ask["name"] == "auto" or not ask["parameters"]:
        return
    stated = {"name": ask["name"], **ask["parameters"]}

    def describe() -> None:
        derived = client.described.description(stated, ask["domain"], ask["epsilon"], ask.get("epsilon_permanent"))
        client.invalid.require(ask["domain"] >= 2 and all(derived.get(key) == value for key, value in stated.items()))

    refuses(client.invalid.InvalidSurvey, describe)


def survey(case: dict[str, Any], client: SimpleNamespace) -> None:
    resolved = json.loads(case["canonical"])
    client.resolved.check(resolved)
    assert client.canonical.canonical(resolved) == case["canonical"]
    assert client.canonical.digest(resolved) == case["digest"]


def resolved(case: dict[str, Any], client: SimpleNamespace) -> None:
    client.resolved.check(case["resolved"])
    assert client.canonical.digest(case["resolved"]) == case["digest"]
    assert client.resolved.lifetime_epsilon(case["resolved"]) == case["lifetime_epsilon"]
    questions = client.questions.Questions(case["resolved"])
    assert {id: questions.segments(id) for id in questions.by_id} == case["segments"]


def invalid_resolved(case: dict[str, Any], client: SimpleNamespace) -> None:
    """The digest is right, so that only the other checks can refuse the survey."""
    assert client.canonical.digest(case["resolved"]) == case["digest"]
    refuses(client.invalid.InvalidSurvey, lambda: client.resolved.check(case["resolved"]))


def fetched(case: dict[str, Any], client: SimpleNamespace) -> None:
    limits = (case["pinned"], case["max_epsilon"], case["max_lifetime_epsilon"])

    def fetch() -> Any:
        return client.resolved.fetched(case["body"].encode(), case["id"], case["version"], *limits)

    if case["accepted"]:
        assert fetch() == json.loads(case["body"])["survey"]
    else:
        refuses(client.invalid.InvalidSurvey, fetch)


def canonical(case: dict[str, Any], client: SimpleNamespace) -> None:
    value = json.loads(case["json"])
    assert client.canonical.canonical(value) == case["canonical"]
    assert client.canonical.digest(value) == case["digest"]


def invalid_canonical(case: dict[str, Any], client: SimpleNamespace) -> None:
    refuses(ValueError, lambda: client.canonical.digest(json.loads(case["json"])))


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


class Exchanges:
    """The requests of a step: each must have the published body, and gets the published answer."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self.left = list(exchanges)

    def __call__(self, body: str) -> Any:
        expected = self.left.pop(0)
        assert body == expected["body"]
        return expected["answer"]


def delivery(case: dict[str, Any], client: SimpleNamespace) -> None:
    outbox = client.delivery.Outbox(load("delivery")["survey"], client.words.Words(case["words"]))
    for batch in case["outbox"]:
        outbox.add(batch["body"], at(batch["due"]))
    for step in case["ticks"]:
        exchanges = Exchanges(step["exchanges"])
        outbox.send(at(step["at"]), exchanges)
        assert exchanges.left == []
        assert sorted(outbox.waiting) == step["left"]
        assert (outbox.delivered, outbox.lost) == (step["delivered"], step["lost"])
    assert outbox.words.left == []


def retry_after(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.retry_after.seconds(case["headers"], at(case["at"])) == case["seconds"]


def device(case: dict[str, Any], client: SimpleNamespace) -> None:
    played = client.device.Device(case["survey"], case["cohort"], case["words"])
    for step in case["steps"]:
        now = at(step["at"])
        if "record" in step:
            name, fields = step["record"]
            for _ in range(step.get("times", 1)):
                played.record(now, name, fields)
        if "consent" in step:
            played.consent() if step["consent"] else played.withdraw()
        if "tick" in step:
            exchanges = Exchanges(step["tick"])
            played.tick(now, exchanges)
            assert exchanges.left == []
    assert played.words.left == []


def limited_field(case: dict[str, Any], client: SimpleNamespace) -> None:
    base = load("limits")["surveys"][case["survey"]]
    client.resolved.check(edited(base, case["at"], case["accepted"]))
    refused = edited(base, case["at"], case["refused"])
    refuses(client.invalid.InvalidSurvey, lambda: client.resolved.check(refused))


def limited_rule(case: dict[str, Any], client: SimpleNamespace) -> None:
    parser, types = client.rules.Parser, RULES["signals"]
    parser(case["accepted"], types).read(case["yields"])
    refuses(client.tokens.InvalidRule, lambda: parser(case["refused"], types).read(case["yields"]))


def limited_value(case: dict[str, Any], client: SimpleNamespace) -> None:
    assert client.recorded.stored(case["accepted"], False) == case["accepted"]
    assert client.recorded.stored(case["refused"], False) is None


Check = Callable[[dict[str, Any], SimpleNamespace], None]
MECHANISMS = ("direct", "subset", "affine", "projective", "sue", "oue", "rappor", "auto")
CHECKS: dict[str, dict[str, Check]] = {
    "signals": {"recorded": partial(recorded, False), "recorded_to_sum": partial(recorded, True), "cases": signal},
    "rules": {"conditions": condition, "numbers": rule_number, "invalid": invalid_rule},
    "answers": {"cases": partial(answers, ""), "languages": partial(answers, "languages_")},
    "schedule": {
        "epochs": epoch,
        "closing": closing,
        "cases": schedule,
        "memory": memory,
        "invalid": invalid_label,
    },
    "randomness": {"below": below, "weights": weights, "repeat": repeat},
    "limits": {"fields": limited_field, "rules": limited_rule, "recorded": limited_value},
    "resolved": {
        "canonical": canonical,
        "invalid_canonical": invalid_canonical,
        "cases": resolved,
        "invalid": invalid_resolved,
        "fetched": fetched,
    },
    "delivery": {"cases": delivery, "retry_after": retry_after},
    "device": {"cases": device},
    "survey": {"cases": survey},
    **{name: {"cases": mechanism, "invalid": invalid_mechanism} for name in MECHANISMS},
}
