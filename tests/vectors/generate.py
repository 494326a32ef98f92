"""Writes the test vectors: python tests/vectors/generate.py [FOLDER]. README.md documents their contents.

The vectors are a contract with clients in other languages. A published file never changes its meaning: a change of
meaning needs a new format number.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import answer_cases
import delivery_cases
import device_cases
import limit_cases
import mechanism_cases
import resolved_cases
import rule_cases
import schedule_cases
import signal_cases
from edited import edited

from hushtally.client_sdk.canonical_json import canonical_json, sha256
from hushtally.client_sdk.errors import MechanismError, RuleError, SurveyError
from hushtally.client_sdk.mechanisms import NAMES, Mechanism, PermanentMechanism, Rappor, Weights, build, describe
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.rules import Kind, Rule

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "support"))

from vector_player import ScriptedWords, play_delivery, play_device  # noqa: E402  (from the folder that was just added)

FORMAT = 1
ALL_VALUES = 16  # for a larger domain, only a sample of the values is listed under `supports`
DRAWS = 12
EXPLANATIONS = ("error", "problems")  # our messages; they are not part of the contract


class Recorder(Randomness):
    """Seeded random words, recorded as they are taken."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.taken: list[str] = []

    def word(self) -> int:
        word = self.random.getrandbits(64)
        self.taken.append(f"{word:016x}")
        return word

    def record(self, draw: Callable[[Randomness], int]) -> tuple[list[str], int]:
        """The words that `draw` takes, and its result."""
        self.taken = []
        result = draw(self)
        return self.taken, result


def request(
    name: str, parameters: dict[str, Any], domain: int, epsilon: float, epsilon_permanent: float | None
) -> dict[str, Any]:
    """What a survey asks for, as the arguments of `build`."""
    arguments = {"name": name, "parameters": parameters, "domain": domain, "epsilon": epsilon}
    return arguments if epsilon_permanent is None else arguments | {"epsilon_permanent": epsilon_permanent}


def mechanism_case(arguments: dict[str, Any]) -> dict[str, Any]:
    """One mechanism with its description, its channel, and recorded draws."""
    mechanism = build(**arguments)
    recorder = Recorder(json.dumps(arguments, sort_keys=True))
    values = range(mechanism.domain)
    sample = [recorder.random.randrange(mechanism.domain) for _ in range(DRAWS)]
    case: dict[str, Any] = {
        "ask": arguments,
        "description": describe(mechanism),
        "channel": exact(mechanism.exact_channel),
        "perturb": [],
    }
    for value in sample:
        words, symbol = recorder.record(lambda randomness, value=value: mechanism.perturb(value, randomness))
        case["perturb"].append({"value": value, "words": words, "symbol": symbol})
    if isinstance(mechanism, PermanentMechanism):
        case["draw"], case["repeat"] = permanent_memory(mechanism, sample, recorder)
    if isinstance(mechanism, Rappor):
        case["bits"] = [
            {"group": v % mechanism.m, "value": v, "bits": mechanism.bits(v % mechanism.m, v)} for v in sample
        ]
    listed_values = values if len(values) <= ALL_VALUES else sorted(set(sample) | {0, len(values) - 1})
    case["supports"] = [
        {"symbol": symbol, "of": list(listed_values), "supported": supported(mechanism, symbol, listed_values)}
        for symbol in sorted({0, mechanism.symbols - 1} | {step["symbol"] for step in case["perturb"]})
    ]
    return case


def supported(mechanism: Mechanism, symbol: int, values: Any) -> list[int]:
    return [value for value in values if mechanism.supports(symbol, value)]


def permanent_memory(
    mechanism: PermanentMechanism, sample: list[int], recorder: Recorder
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Recorded permanent draws, each with the previous permanent symbol, and recorded reports of them."""
    draws, repeats = [], []
    previous = None
    for value in sample[:6]:
        words, permanent = recorder.record(lambda randomness, v=value, p=previous: mechanism.draw(v, randomness, p))
        draws.append({"value": value, "previous": previous, "words": words, "permanent": permanent})
        previous = permanent
        words, symbol = recorder.record(lambda randomness, p=permanent: mechanism.repeat(p, randomness))
        repeats.append({"permanent": permanent, "words": words, "symbol": symbol})
    return draws, repeats


def exact(channel: Channel) -> dict[str, str]:
    return {"p": str(channel.p), "q": str(channel.q)}


def invalid_mechanism(arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        build(**arguments)
    except MechanismError as error:
        return {"ask": arguments, "error": str(error)}
    raise AssertionError(f"{arguments} was accepted")


def mechanism(name: str) -> dict[str, Any]:
    """Every way to request a mechanism, and requests that must be refused."""
    return {
        "cases": [mechanism_case(request(name, *case)) for case in mechanism_cases.VALID[name]],
        "invalid": [invalid_mechanism(request(name, *case)) for case in mechanism_cases.INVALID[name]],
    }


def randomness() -> dict[str, Any]:
    """The integers that follow from random words, and the weights that follow from epsilon."""
    return {
        "below": [step for n in mechanism_cases.BELOW for step in below(n)],
        "weights": [
            {"epsilon": e, "near": Weights.of(e).near, "far": Weights.of(e).far} for e in mechanism_cases.EPSILONS
        ],
        "repeat": [step for d in mechanism_cases.REPEATED for step in next_to_gamma(d)],
    }


def next_to_gamma(domain: int) -> list[dict[str, Any]]:
    """Reports of a permanent symbol whose first word is just below gamma, and gamma itself."""
    mechanism = build("direct", {}, domain, 1.0, 2.0)
    assert isinstance(mechanism, PermanentMechanism)
    steps = []
    gamma = int(str(describe(mechanism)["gamma"]))
    for first in (gamma - 1, gamma):
        words = [f"{first:016x}", "e" * 16][: 1 + (first == gamma)]
        randomness = ScriptedWords(words)
        symbol = mechanism.repeat(1, randomness)
        assert randomness.left == []
        steps.append(
            {"description": describe(mechanism), "of": domain, "permanent": 1, "words": words, "symbol": symbol}
        )
    return steps


def below(n: int) -> list[dict[str, Any]]:
    recorder = Recorder(str(n))
    draws = [recorder.record(lambda randomness: randomness.below(n)) for _ in range(4)]
    return [{"n": str(n), "words": words, "drawn": str(drawn)} for words, drawn in draws]


def surveys() -> dict[str, Any]:
    """A survey for every mechanism with its canonical JSON and digest, and surveys that must be refused."""
    permanent = 'memory = "permanent"\nepsilon_permanent = 2.2\nchanges = 3'
    sources = [mechanism_cases.SURVEY.format("", "", stated) for stated in mechanism_cases.MECHANISMS.values()]
    sources.append(mechanism_cases.SURVEY.format('epoch = "week"', permanent, '"auto"'))
    cases = []
    for source in sources:
        survey = Survey.parse(source)
        cases.append({"toml": source, "canonical": canonical_json(survey.resolved), "digest": survey.digest})
    invalid = [sources[0].replace(*mistake) for mistake in mechanism_cases.MISTAKES]
    return {"cases": cases, "invalid": [{"toml": source, "problems": problems(source)} for source in invalid]}


def problems(source: str) -> list[str]:
    try:
        Survey.parse(source)
    except SurveyError as error:
        return [str(problem) for problem in error.problems]
    raise AssertionError(f"{source} was accepted")


def signals() -> dict[str, Any]:
    """Which field values are stored, and the values of signals over events."""
    return {
        "recorded": rows(signal_cases.RECORDED, "value", "kept"),
        "recorded_to_sum": rows(signal_cases.RECORDED_TO_SUM, "value", "kept"),
        "cases": rows(signal_cases.SIGNALS, "signal", "today", "events", "value"),
    }


def rules() -> dict[str, Any]:
    """Conditions and numbers with their results, and rules that must be refused."""
    return {
        "signals": rule_cases.KINDS,
        "conditions": rows(rule_cases.CONDITIONS, "rule", "signals", "holds"),
        "numbers": rows(rule_cases.NUMBERS, "rule", "signals", "number"),
        "invalid": [
            {"rule": source, "yields": kind, "error": rule_error(source, kind)} for source, kind in rule_cases.INVALID
        ],
    }


def rule_error(source: str, kind: str) -> str:
    kinds = {"number": Kind.NUMBER, "text": Kind.STRING, "truth": Kind.BOOLEAN}
    try:
        Rule.parse(source, {name: kinds[value] for name, value in rule_cases.KINDS.items()}, kinds[kind])
    except RuleError as error:
        return str(error)
    raise AssertionError(f"{source} was accepted")


def answers() -> dict[str, Any]:
    """From events to the index of every question's segment."""
    cases = answer_rows(answer_cases.ANSWERS, answer_cases.SIGNAL_NAMES, answer_cases.SEGMENTS)
    return {"toml": answer_cases.SURVEY, "segments": answer_cases.SEGMENTS, "cases": cases, **languages()}


def languages() -> dict[str, Any]:
    """A second survey, about values that languages treat differently."""
    segments = answer_cases.LANGUAGE_SEGMENTS
    cases = answer_rows(answer_cases.LANGUAGE_ANSWERS, answer_cases.LANGUAGE_SIGNALS, segments)
    return {"languages_toml": answer_cases.EDGES_OF_LANGUAGES, "languages_segments": segments, "languages": cases}


def answer_rows(answers: list[Any], names: tuple[str, ...], segments: dict[str, list[str]]) -> list[dict[str, Any]]:
    cases = []
    for events, values, chosen in answers:
        signal_values = dict(zip(names, values, strict=True))
        indices = {id: ids.index(segment) for (id, ids), segment in zip(segments.items(), chosen, strict=True)}
        cases.append({"today": answer_cases.TODAY, "events": events, "signals": signal_values, "answers": indices})
    return cases


def schedule() -> dict[str, Any]:
    """Epochs, the answers of a device in the epochs of a survey, and permanent memory."""
    return {
        "epochs": rows(schedule_cases.EPOCHS, "epoch", "day", "label", "first", "last"),
        "closing": rows(schedule_cases.CLOSING, "epoch", "label", "retention_days", "accepted_until", "erased_on"),
        "cases": [{"survey": survey, **results} for survey, results in schedule_cases.SURVEYS],
        "memory": rows(schedule_cases.MEMORY, "changes", "values", "repeated", "new"),
        "invalid": rows(schedule_cases.INVALID_LABELS, "epoch", "label"),
    }


def resolved() -> dict[str, Any]:
    """Canonical JSON, resolved surveys, surveys that a client must refuse, and answers of a collector."""
    surveys = [Survey.parse(source) for source in resolved_cases.SURVEYS]
    return {
        "canonical": [{**row, "digest": digest_of(row["canonical"])} for row in rows(resolved_cases.CANONICAL, *FORMS)],
        "invalid_canonical": [{"json": text} for text in resolved_cases.INVALID_CANONICAL],
        "cases": [
            {
                "toml": source,
                "resolved": survey.resolved,
                "segments": {question.id: list(question.segments) for question in survey.questions},
                "lifetime_epsilon": survey.lifetime_epsilon,
                "digest": survey.digest,
            }
            for source, survey in zip(resolved_cases.SURVEYS, surveys, strict=True)
        ],
        "invalid": [
            invalid_survey(title, surveys[number], place, new) for title, number, place, new in resolved_cases.INVALID
        ],
        "fetched": [fetched(surveys[resolved_cases.ALL], *case) for case in resolved_cases.FETCHED],
    }


FORMS = ("json", "canonical")


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def invalid_survey(title: str, survey: Survey, place: list[Any], new: Any) -> dict[str, Any]:
    """A resolved survey with one change, and the digest of the changed survey."""
    changed = edited(survey.resolved, place, new)
    return {"title": title, "resolved": changed, "digest": sha256(changed)}


def fetched(survey: Survey, title: str, differs: dict[str, Any], accepted: bool) -> dict[str, Any]:
    """A request for a survey with its answer."""
    case = {"id": survey.id, "version": survey.version, "pinned": survey.digest}
    case |= {"max_epsilon": None, "max_lifetime_epsilon": None}
    answer: Any = {"survey": survey.resolved, "digest": survey.digest}
    if "answer" in differs:
        answer = edited(answer, *differs["answer"])
        with suppress(KeyError, ValueError):
            case["pinned"] = sha256(answer["survey"])
    body = differs.get("body", json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
    stated = {name: value for name, value in differs.items() if name not in ("answer", "body")}
    if callable(stated.get("pinned")):
        stated["pinned"] = stated["pinned"](survey.digest)
    return {"title": title, **case, **stated, "body": body, "accepted": accepted}


def limits() -> dict[str, Any]:
    """For every limit, a value within and a value beyond it."""
    surveys = [Survey.parse(source) for source in limit_cases.SURVEYS]
    fields = [
        {"survey": number, "at": place, "accepted": accepted, "refused": refused}
        for number, place, accepted, refused in limit_cases.FIELDS
    ]
    questions = [
        {"survey": 0, "at": ["questions"], "accepted": with_weights(accepted), "refused": with_weights(refused)}
        for accepted, refused in limit_cases.QUESTIONS
    ]
    return {
        "surveys": [survey.resolved for survey in surveys],
        "fields": fields + questions,
        "rules": rows(limit_cases.RULES, "accepted", "refused", "yields"),
        "recorded": rows(limit_cases.RECORDED, "accepted", "refused"),
    }


def with_weights(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These questions, resolved with the mechanism `direct`, also if a survey with them is refused."""
    weights = Weights.of(1.5)
    sizes: dict[str, int] = {}
    resolved = []
    for question in questions:
        crossed = question.get("cross")
        size = prod(sizes[id] for id in crossed) if crossed else len(question["categories"]) + 1
        sizes[question["id"]] = size
        mechanism = {"name": "direct", "symbols": size, "weights": [weights.near, weights.far]}
        resolved.append(question | {"epsilon": 1.5, "only_crossed": False, "mechanism": mechanism})
    return resolved


def delivery() -> dict[str, Any]:
    """When batches are sent, and what an answer means."""
    survey = Survey.parse(delivery_cases.SURVEY)
    cases = []
    for case in delivery_cases.CASES:
        batches = [
            {"body": delivery_cases.body(survey.digest, id, epoch, reports), "due": delivery_cases.moment(due)}
            for id, epoch, due, reports in case.batches
        ]
        ticks = [(delivery_cases.moment(seconds), answers) for seconds, answers in case.ticks]
        steps = play_delivery(survey, ScriptedWords(case.words), batches, ticks)
        assert [len(step["exchanges"]) for step in steps] == [len(answers) for _, answers in ticks], case.title
        cases.append({"title": case.title, "words": case.words, "outbox": batches, "ticks": steps})
    retry_after = [
        {"headers": headers, "at": delivery_cases.moment(0), "seconds": seconds}
        for headers, seconds in delivery_cases.RETRY_AFTER
    ]
    return {"survey": survey.resolved, "digest": survey.digest, "cases": cases, "retry_after": retry_after}


def device() -> dict[str, Any]:
    """Whole devices: from events and random words to the bodies of requests."""
    cases = []
    for case in device_cases.CASES:
        survey, recorder = Survey.parse(case.toml), Recorder(case.title)
        steps = play_device(survey, case.cohort, recorder, case.steps, lambda step: list(step["tick"]))
        cases.append(
            {
                "title": case.title,
                "survey": survey.resolved,
                "cohort": case.cohort,
                "words": recorder.taken,
                "steps": steps,
            }
        )
    return {"cases": cases}


def rows(cases: list[Any], *keys: str) -> list[dict[str, Any]]:
    return [dict(zip(keys, case, strict=True)) for case in cases]


def with_published_explanations(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Replace our messages by the published ones: a published file stays the same if a message is reworded."""
    published = HERE / f"{name}.json"
    if "invalid" not in content or not published.exists():
        return content
    cases = json.loads(published.read_text(encoding="utf-8")).get("invalid", [])
    known = {without_explanation(case): case for case in cases}
    return content | {"invalid": [known.get(without_explanation(case), case) for case in content["invalid"]]}


def without_explanation(case: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in case.items() if key not in EXPLANATIONS})


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write one case per line, so that a difference shows its place."""
    content = with_published_explanations(name, content)
    parts = [f'"{key}":{lines(value)}' for key, value in content.items()]
    text = f'{{"format":{FORMAT},' + ",\n".join(parts) + "}\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def lines(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",\n".join(map(lines, value)) + "]"
    return json.dumps(value, separators=(",", ":"))


def main(folder: Path) -> None:
    for name in NAMES:
        write(folder, name, mechanism(name))
    write(folder, "randomness", randomness())
    write(folder, "survey", surveys())
    write(folder, "signals", signals())
    write(folder, "rules", rules())
    write(folder, "answers", answers())
    write(folder, "schedule", schedule())
    write(folder, "resolved", resolved())
    write(folder, "limits", limits())
    write(folder, "delivery", delivery())
    write(folder, "device", device())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE)
