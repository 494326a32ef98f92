"""Audits: what keeps its word gets a certificate, what does not is found, by proof and by watching the client."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import broken_mechanisms as broken
from hushtally.aggregator.errors import ArgumentError
from hushtally.cli import main
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.device import answering
from hushtally.client_sdk.mechanisms import Direct, Mechanism, Permanent, Subset, Weights, build
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.audit.auditor import REPEATS, audit
from hushtally.simulations.audit.certificate import Certificate
from hushtally.simulations.audit.client_reports import COPIES
from hushtally.simulations.audit.distinguisher import Distinguisher
from hushtally.simulations.audit.proof import TooManyBranches, prove_all_reports, prove_one_report
from hushtally.simulations.errors import SimulationError
from survey_builder import survey_text

FRESH = survey_text(
    [{"id": "kind", "one_of": "seen", "categories": ["CATEGORIES"]}],
    id="one",
    epoch="week",
    cohorts={},
    signals={"seen": {"top": "visit.kind", "days": 7}},
).replace('"CATEGORIES"', "CATEGORIES")
PERMANENT = FRESH.replace("epsilon = 1.0", 'epsilon = 1.0\nmemory = "permanent"\nepsilon_permanent = 2.0\nchanges = 1')


ONE = Weights.of(1.0)
BROKEN: dict[str, Mechanism] = {
    "a leaked bit": broken.LeakedBit(6, ONE, 3),
    "a value put first": broken.ValueFirst(6, ONE, 2),
    "noise redrawn": broken.Redrawn(Direct(4, ONE), Direct(4, Weights.of(2.0))),
    "p 2% too large": broken.OffBy2Percent(2, Weights.of(3.0)),
    "p 2% too small": broken.OffBy2Percent(2, Weights.of(3.0), less=True),
}
UNARY = ("sue", "oue")  # with as many bits to enumerate as there are values
# every mechanism at 16 values and epsilon 1
SIXTEEN: dict[str, dict[str, object]] = {
    "direct": {},
    "subset": {},
    "affine": {},
    "projective": {},
    "sue": {},
    "oue": {},
}


def survey(domain: int, text: str = FRESH, mechanism: Mechanism | None = None) -> Survey:
    categories = ", ".join(f'"c{number}"' for number in range(domain - 1))
    parsed = Survey.parse(text.replace("CATEGORIES", categories))
    if mechanism is None:
        return parsed
    question = replace(parsed.asked[0], mechanism=mechanism, epsilon=float(round(mechanism.epsilon)))
    return replace(parsed, questions=(question,))


def surveyed(mechanism: Mechanism) -> Survey:
    return survey(mechanism.domain, PERMANENT if isinstance(mechanism, Permanent) else FRESH, mechanism)


class Meters:
    """Notes what is shown: the words, the steps announced, and the steps taken."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int | None, int]] = []

    @contextmanager
    def __call__(self, words: str, total: int | None) -> Iterator[Callable[[], object]]:
        taken: list[int] = []
        yield lambda: taken.append(1)
        self.shown.append((words, total, len(taken)))


@pytest.fixture(scope="module")
def audited() -> tuple[Certificate, Meters]:
    """An audit of permanent memory, and the progress that it showed."""
    meters = Meters()
    return audit(survey(3, PERMANENT), trials=1_000, seed=1, progress=meters), meters


@pytest.fixture
def permanent(audited: tuple[Certificate, Meters]) -> Certificate:
    return audited[0]


def test_a_survey_that_keeps_its_word_is_certified(example: Path) -> None:
    """Every bound proven within 1e-9 of the survey's epsilon and never above."""
    certificate = audit(Survey.load(example))
    assert certificate.holds
    assert certificate.digest == Survey.load(example).digest
    for finding in certificate.findings:
        assert finding.epsilon is not None
        assert finding.claimed - 1e-9 < finding.epsilon <= finding.claimed


@pytest.mark.parametrize(
    "name",
    ["direct", "subset", "affine", "projective", *(pytest.param(bits, marks=pytest.mark.slow) for bits in UNARY)],
)
def test_sixteen_values_are_proven(name: str) -> None:
    [finding] = audit(survey(16, mechanism=build(name, {}, 16, 1.0)), "enumeration").findings
    assert finding.holds
    assert finding.epsilon == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in UNARY else pytest.mark.slow) for name in SIXTEEN],
)
def test_watching_certifies_sixteen_values(name: str) -> None:
    """200,000 reports per value: at least .95 epsilon with 95% confidence, and never above it (1 in 10^6)."""
    [finding] = audit(survey(16, mechanism=build(name, SIXTEEN[name], 16, 1.0)), "statistics", seed=1).findings
    assert finding.holds
    assert 0.95 <= (finding.lower_bound or 0) <= 1


def test_permanent_memory_is_certified(permanent: Certificate) -> None:
    """The mechanism by proof, and the client, which has to reuse its answers, by watching it."""
    assert permanent.holds
    bounds = [(finding.bound, finding.claimed, finding.method) for finding in permanent.findings]
    assert bounds == [
        ("one report", 1.0, "enumeration"),
        ("all reports of one answer", 2.0, "enumeration"),
        ("16 reports of one answer", 2.0, "statistics"),
    ]
    assert permanent.findings[1].epsilon == pytest.approx(2.0, abs=1e-9)


@pytest.mark.parametrize("bits", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_rappor_without_memory_is_certified(bits: int) -> None:
    """It could keep an answer; where the survey has it draw anew, one report is all that is bounded."""
    rappor = f'[CATEGORIES]\nmechanism = {{ name = "rappor", k = {bits}, h = 1, m = 4, f = 0.5, p = 0.25, q = 0.75 }}'
    text = FRESH.replace("epsilon = 1.0", "epsilon = 1.1").replace("[CATEGORIES]", rappor)
    found = audit(survey(3, text), trials=2_000, seed=1)
    assert [finding.bound for finding in found.findings] == ["one report"]
    assert found.holds


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_by_enumeration(name: str) -> None:
    question = surveyed(BROKEN[name]).asked[0]
    prove = prove_all_reports if isinstance(question.mechanism, Permanent) else prove_one_report
    assert not prove(question).holds


@pytest.mark.parametrize(("name", "trials"), [(name, 10_000 if "2%" in name else 1_000) for name in BROKEN])
def test_what_is_broken_is_found_by_watching_the_client(name: str, trials: int) -> None:
    certificate = audit(surveyed(BROKEN[name]), "statistics", trials, seed=2)
    assert not certificate.holds
    assert "BREACH" in str(certificate)


def test_what_is_sound_is_not_called_broken() -> None:
    """The sound counterparts of the broken ones (a false alarm has chance below 1 in 10^6)."""
    for mechanism in (Subset(6, ONE, 3), Permanent.of(Direct(4, ONE), 2.0), Direct(2, ONE)):
        assert audit(surveyed(mechanism), "statistics", 1_000, seed=2).holds


def test_a_client_that_redraws_its_noise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report alone is sound, and so is the mechanism: only many reports of one answer tell."""
    remembered = answering.answers.recall

    def forgetful(connection, device, *rest):  # type: ignore[no-untyped-def]
        connection.execute("DELETE FROM answers")
        return remembered(connection, device, *rest)

    monkeypatch.setattr(answering.answers, "recall", forgetful)
    certificate = audit(survey(3, PERMANENT), trials=1_000, seed=1)
    assert [finding.holds for finding in certificate.findings] == [True, True, False]
    assert "in 16 reports" in certificate.findings[2].breaches[0]


def test_a_client_that_is_silent_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "tick", lambda self: None)
    with pytest.raises(SimulationError, match="the client did not answer 64 questions on 8 days: silent"):
        audit(survey(3), "statistics", 1_000, seed=1)


def test_too_many_branches_are_watched_instead(example: Path) -> None:
    question = Survey.load(example).asked[0]
    with pytest.raises(TooManyBranches):
        prove_one_report(question, most=10)
    with pytest.raises(ArgumentError, match="enumeration runs at most 10 branches, and frequency has more; auto"):
        audit(Survey.load(example), "enumeration", branches=10)
    certificate = audit(survey(3), "auto", 2_000, seed=1, branches=3)
    assert [finding.method for finding in certificate.findings] == ["statistics"]


def test_what_memory_keeps_is_proven_where_a_report_has_too_many_branches() -> None:
    """A report draws twice, so that its branches are squared; the permanent symbol alone bounds all reports."""
    certificate = audit(survey(8, PERMANENT), trials=1_000, seed=1, branches=5_000)
    assert certificate.holds
    assert [finding.method for finding in certificate.findings] == ["statistics", "enumeration", "statistics"]


def test_every_proof_and_every_watch_shows_how_far_it_is(audited: tuple[Certificate, Meters]) -> None:
    """A watch takes as many steps as announced; how many a proof takes nobody knows before."""
    meters = audited[1]
    assert [words for words, _, _ in meters.shown] == ["proving kind", "proving kind", "watching kind"]
    assert [total for _, total, _ in meters.shown[:2]] == [None, None]
    assert meters.shown[2][1] == meters.shown[2][2] == 2 * math.ceil(1_000 / COPIES) * REPEATS
    assert all(taken > 0 for _, _, taken in meters.shown)


def test_the_command_shows_it(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the bar that the other commands have."""
    meters = Meters()
    monkeypatch.setattr("hushtally.simulations.audit.command.progress", meters)
    assert CliRunner().invoke(main, ["audit", str(example)]).exit_code == 0
    assert [words for words, _, _ in meters.shown] == [f"proving {one.id}" for one in Survey.load(example).asked]


def test_a_certificate_of_permanent_memory_says_what_it_is_about(permanent: Certificate) -> None:
    """Whether and when an answer changed is not in the bounds."""
    assert permanent.as_dict()["memory"] == "permanent"
    assert "epsilon 4 over the whole survey of what was answered, not whether and when it changed:" in str(permanent)


def test_a_bound_is_clopper_and_pearsons() -> None:
    """Both ends at half the error; an event that never came bounds nothing."""
    assert Distinguisher("", 0, 5, 100).lower_bound(0.05) == -math.inf
    # ends of 50 and 10 in 100 at 97.5% one-sided, from tables
    assert Distinguisher("", 50, 10, 100).lower_bound(0.05) == pytest.approx(math.log(0.3983 / 0.1762), abs=1e-3)


def test_the_same_seed_gives_the_same_certificate() -> None:
    one, other = (str(audit(survey(3), "statistics", 2_000, seed=5)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), None), (("guess",), "method must be one of auto"), (("auto", 5), "trials must be at least 1,000, got 5")],
)
def test_arguments(arguments: tuple[str, int], said: str | None) -> None:
    if said:
        with pytest.raises(ArgumentError, match=said):
            audit(survey(3), *arguments)


def test_the_command(example: Path) -> None:
    result = CliRunner().invoke(main, ["audit", str(example)])
    assert result.exit_code == 0, result.output
    assert "every bound is proven" in result.output
    assert "frequency, one report: at most 1: proven" in result.output
    assert "to 12 digits" in result.output
    assert "epsilon 7 over the whole survey:\n  this follows from the bounds below by composition" in result.output
    shown = CliRunner().invoke(main, ["audit", str(example), "--format", "json"])
    certificate = json.loads(shown.stdout)
    assert certificate["holds"] is True
    assert certificate["digest"] == Survey.load(example).digest
    assert [finding["question"] for finding in certificate["findings"]] == [
        question.id for question in Survey.load(example).asked
    ]
    table = CliRunner().invoke(main, ["audit", str(example), "--format", "csv"])
    assert len(table.stdout.splitlines()) == 5


def test_watching_does_not_prove(permanent: Certificate) -> None:
    """A lower bound that keeps below epsilon does not show that epsilon is kept, and no line says so."""
    assert "one v1: no bound is refuted (2 proven, 1 only watched)" in str(permanent)
    text = str(audit(survey(3), "statistics", 2_000, seed=1))
    assert "kind, one report: at most 1: not refuted" in text
    assert "with 95% confidence" in text
    assert "kept" not in text


def test_the_command_ends_with_1_when_a_bound_is_broken(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Direct, "perturb", broken.OffBy2Percent.perturb)
    monkeypatch.setattr(Direct, "less", False, raising=False)
    result = CliRunner().invoke(main, ["audit", str(example)])
    assert result.exit_code == 1
    assert "frequency, one report: at most 1: BROKEN" in result.output
    assert "Traceback" not in result.output
