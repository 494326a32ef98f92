"""Audits certify sound surveys, and find broken mechanisms and clients by proof and by statistical tests."""

from __future__ import annotations

import json
import math
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
from progress_recorder import ProgressRecorder
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
UNARY = ("sue", "oue")  # they have as many bits to enumerate as values
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


def survey_with(mechanism: Mechanism) -> Survey:
    return survey(mechanism.domain, PERMANENT if isinstance(mechanism, Permanent) else FRESH, mechanism)


@pytest.fixture(scope="module")
def audited() -> tuple[Certificate, ProgressRecorder]:
    """An audit of permanent memory, and the progress that it showed."""
    bars = ProgressRecorder()
    return audit(survey(3, PERMANENT), trials=1_000, seed=1, progress=bars), bars


@pytest.fixture
def permanent(audited: tuple[Certificate, ProgressRecorder]) -> Certificate:
    return audited[0]


def test_a_sound_survey_is_certified(example: Path) -> None:
    """The proven epsilon is within 1e-9 of the survey's epsilon, and never above it."""
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
def test_statistics_certify_sixteen_values(name: str) -> None:
    """200,000 reports per value: the lower bound is from .95 to 1 epsilon; fails by chance 1 in 10^6."""
    [finding] = audit(survey(16, mechanism=build(name, SIXTEEN[name], 16, 1.0)), "statistics", seed=1).findings
    assert finding.holds
    assert 0.95 <= (finding.lower_bound or 0) <= 1


def test_permanent_memory_is_certified(permanent: Certificate) -> None:
    """A proof covers the mechanism; a test covers the client, which has to reuse its answers."""
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
    """Its mechanism supports permanent memory; with fresh memory, only one report is bounded."""
    rappor = f'[CATEGORIES]\nmechanism = {{ name = "rappor", k = {bits}, h = 1, m = 4, f = 0.5, p = 0.25, q = 0.75 }}'
    text = FRESH.replace("epsilon = 1.0", "epsilon = 1.1").replace("[CATEGORIES]", rappor)
    found = audit(survey(3, text), trials=2_000, seed=1)
    assert [finding.bound for finding in found.findings] == ["one report"]
    assert found.holds


@pytest.mark.parametrize("name", BROKEN)
def test_enumeration_finds_broken_mechanisms(name: str) -> None:
    question = survey_with(BROKEN[name]).asked[0]
    prove = prove_all_reports if isinstance(question.mechanism, Permanent) else prove_one_report
    assert not prove(question).holds


@pytest.mark.parametrize(("name", "trials"), [(name, 10_000 if "2%" in name else 1_000) for name in BROKEN])
def test_statistics_find_broken_mechanisms(name: str, trials: int) -> None:
    certificate = audit(survey_with(BROKEN[name]), "statistics", trials, seed=2)
    assert not certificate.holds
    assert "BREACH" in str(certificate)


def test_sound_mechanisms_are_not_called_broken() -> None:
    """The sound counterparts of the broken mechanisms; fails by chance less than 1 in 10^6."""
    for mechanism in (Subset(6, ONE, 3), Permanent.of(Direct(4, ONE), 2.0), Direct(2, ONE)):
        assert audit(survey_with(mechanism), "statistics", 1_000, seed=2).holds


def test_a_client_that_redraws_its_noise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mechanism and each single report are sound; only many reports of one answer reveal the fault."""
    recall = answering.answers.recall

    def without_memory(connection, device, *rest):  # type: ignore[no-untyped-def]
        connection.execute("DELETE FROM answers")
        return recall(connection, device, *rest)

    monkeypatch.setattr(answering.answers, "recall", without_memory)
    certificate = audit(survey(3, PERMANENT), trials=1_000, seed=1)
    assert [finding.holds for finding in certificate.findings] == [True, True, False]
    assert "event: 16 reports support value " in certificate.findings[2].breaches[0]


def test_a_client_that_sends_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "tick", lambda self: None)
    with pytest.raises(SimulationError, match="the client did not answer 64 questions on each of 8 days; faults: none"):
        audit(survey(3), "statistics", 1_000, seed=1)


def test_too_many_branches_are_tested_by_statistics(example: Path) -> None:
    question = Survey.load(example).asked[0]
    with pytest.raises(TooManyBranches):
        prove_one_report(question, max_branches=10)
    with pytest.raises(
        ArgumentError, match="method cannot be enumeration, because frequency has more than 10 branches"
    ):
        audit(Survey.load(example), "enumeration", branches=10)
    certificate = audit(survey(3), "auto", 2_000, seed=1, branches=3)
    assert [finding.method for finding in certificate.findings] == ["statistics"]


def test_the_permanent_answer_is_proven_even_if_a_report_has_too_many_branches() -> None:
    """A report draws twice, which squares its branches; the permanent symbol alone bounds all reports."""
    certificate = audit(survey(8, PERMANENT), trials=1_000, seed=1, branches=5_000)
    assert certificate.holds
    assert [finding.method for finding in certificate.findings] == ["statistics", "enumeration", "statistics"]


def test_every_proof_and_every_test_shows_progress(audited: tuple[Certificate, ProgressRecorder]) -> None:
    """A test takes as many steps as announced; the steps of a proof are not known beforehand."""
    bars = audited[1]
    assert [description for description, _, _ in bars.shown] == ["Proving kind", "Proving kind", "Testing kind"]
    assert [total for _, total, _ in bars.shown[:2]] == [None, None]
    assert bars.shown[2][1] == bars.shown[2][2] == 2 * math.ceil(1_000 / COPIES) * REPEATS
    assert all(taken > 0 for _, _, taken in bars.shown)


def test_the_command_shows_progress(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = ProgressRecorder()
    monkeypatch.setattr("hushtally.simulations.audit.command.progress_bar", bars)
    assert CliRunner().invoke(main, ["audit", str(example)]).exit_code == 0
    assert [description for description, _, _ in bars.shown] == [
        f"Proving {one.id}" for one in Survey.load(example).asked
    ]


def test_a_certificate_of_permanent_memory_says_what_it_does_not_cover(permanent: Certificate) -> None:
    """The bounds do not cover whether or when an answer changed."""
    assert permanent.as_dict()["memory"] == "permanent"
    assert "lifetime epsilon of a device: at most 4\n" in str(permanent)
    assert "It covers the answers, but not whether or when an answer changed." in str(permanent)


def test_a_lower_bound_uses_clopper_pearson_intervals() -> None:
    """Each rate gets half the error; an event that never happens gives no bound."""
    assert Distinguisher("", 0, 5, 100).lower_bound(0.05) == -math.inf
    # one-sided 97.5% limits for 50 and 10 of 100, from tables
    assert Distinguisher("", 50, 10, 100).lower_bound(0.05) == pytest.approx(math.log(0.3983 / 0.1762), abs=1e-3)


def test_equal_seeds_give_equal_certificates() -> None:
    one, other = (str(audit(survey(3), "statistics", 2_000, seed=5)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), None), (("guess",), "method must be one of auto"), (("auto", 5), "trials must be at least 1,000, got 5")],
)
def test_impossible_arguments_are_errors(arguments: tuple[str, int], message: str | None) -> None:
    if message:
        with pytest.raises(ArgumentError, match=message):
            audit(survey(3), *arguments)


def test_the_command_prints_a_certificate(example: Path) -> None:
    result = CliRunner().invoke(main, ["audit", str(example)])
    assert result.exit_code == 0, result.output
    assert "every bound is proven" in result.output
    assert "frequency, one report: epsilon at most 1: proven" in result.output
    assert "(to 12 digits)" in result.output
    assert "of a device: at most 7\n  The lifetime epsilon follows from the bounds below by" in result.output
    shown = CliRunner().invoke(main, ["audit", str(example), "--format", "json"])
    certificate = json.loads(shown.stdout)
    assert certificate["holds"] is True
    assert certificate["digest"] == Survey.load(example).digest
    assert [finding["question"] for finding in certificate["findings"]] == [
        question.id for question in Survey.load(example).asked
    ]
    table = CliRunner().invoke(main, ["audit", str(example), "--format", "csv"])
    assert len(table.stdout.splitlines()) == 5


def test_statistics_do_not_prove(permanent: Certificate) -> None:
    """A lower bound below epsilon does not prove that the survey keeps epsilon, and no line says so."""
    assert "one v1: no bound is refuted (2 proven, 1 only tested)" in str(permanent)
    text = str(audit(survey(3), "statistics", 2_000, seed=1))
    assert "kind, one report: epsilon at most 1: not refuted" in text
    assert "with 95% confidence" in text
    assert "kept" not in text


def test_the_exit_status_is_1_if_a_bound_is_broken(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Direct, "perturb", broken.OffBy2Percent.perturb)
    monkeypatch.setattr(Direct, "less", False, raising=False)
    result = CliRunner().invoke(main, ["audit", str(example)])
    assert result.exit_code == 1
    assert "frequency, one report: epsilon at most 1: BROKEN" in result.output
    assert "Traceback" not in result.output
