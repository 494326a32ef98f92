"""An audit passes every shipped mechanism and finds every broken one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scipy.special import bdtr

import broken_mechanisms as broken
from hushtally.aggregator.errors import ArgumentError
from hushtally.cli import main
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.mechanisms import Direct, Mechanism, PermanentMechanism, build
from hushtally.client_sdk.state import answers
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.audit.auditor import audit
from hushtally.simulations.audit.certificate import Certificate, Finding, Method
from hushtally.simulations.audit.distinguisher import Distinguisher
from hushtally.simulations.audit.source import FALSE_ALARM, WORDS
from hushtally.simulations.errors import SimulationError
from progress_recorder import ProgressRecorder

FRESH = """
id = "one"
version = 1
title = "One question"
purpose = "For tests."
owner = "tests@example.com"
starts = 2026-11-02
ends = 2026-11-29
[privacy]
epsilon = 1.0
answers_every = 2
[signals]
seen = { top = "visit.kind", days = 7 }
[[questions]]
id = "kind"
one_of = "seen"
categories = [CATEGORIES]
"""
PERMANENT = FRESH.replace("epsilon = 1.0", 'epsilon = 1.0\nmemory = "permanent"\nepsilon_permanent = 2.0\nchanges = 1')
FEW = {"trials": 1_000, "branches": 2**14}  # the audit takes about a second


def survey(domain: int, text: str = FRESH, mechanism: Mechanism | None = None) -> Survey:
    """A survey with one question of `domain` segments and epsilon 1 (permanent: 2); `mechanism` replaces its own."""
    categories = ", ".join(f'"c{number}"' for number in range(domain - 1))
    parsed = Survey.parse(text.replace("CATEGORIES", categories))
    if mechanism is None:
        return parsed
    return replace(parsed, questions=(replace(parsed.asked[0], mechanism=mechanism),))


def surveyed(mechanism: Mechanism) -> Survey:
    """A survey that asks its question with this mechanism, whatever the mechanism's own epsilon."""
    text = PERMANENT if isinstance(mechanism, PermanentMechanism) else FRESH
    return survey(mechanism.domain, text, mechanism)


def finding(certificate: Certificate, bound: str) -> Finding:
    [found] = [one for one in certificate.findings if one.bound == bound]
    return found


def some(names: Iterable[str], *words: str) -> list[Any]:
    """All names; a name that contains none of the words is marked slow."""
    return [
        name
        if any(f"{name},".find(f"{word}," if word.startswith("d=") else word) >= 0 for word in words)
        else pytest.param(name, marks=pytest.mark.slow)
        for name in names
    ]


class TestShippedCodePasses:
    @pytest.mark.slow
    def test_the_example_survey_is_proven(self, example: Path) -> None:
        """The exact epsilon of every question is at most 1e-9 below the claimed epsilon, and never above it."""
        certificate = audit(Survey.load(example), 1_000)
        assert certificate.holds
        assert certificate.digest == Survey.load(example).digest
        bounds = [one for one in certificate.findings if one.bound == "one report"]
        assert len(bounds) == len(Survey.load(example).asked)
        for one in bounds:
            assert one.proven
            assert one.epsilon is not None
            assert one.claimed is not None
            assert one.claimed - 1e-9 < one.epsilon <= one.claimed

    @pytest.mark.parametrize(
        "domain", [2, *(pytest.param(one, marks=pytest.mark.slow) for one in (16, 64, 256, 1_024))]
    )
    @pytest.mark.parametrize("text", [FRESH, PERMANENT], ids=["fresh", "permanent"])
    def test_every_number_of_segments_passes(self, domain: int, text: str) -> None:
        """A false alarm has a chance below 1 in 10^5."""
        certificate = audit(survey(domain, text), **FEW)
        assert certificate.holds, str(certificate)

    @pytest.mark.slow
    @pytest.mark.parametrize("text", [FRESH, PERMANENT], ids=["fresh", "permanent"])
    def test_a_large_domain_passes(self, text: str) -> None:
        assert audit(survey(4_096, text), **FEW).holds

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["direct", "subset", "affine", "projective", "sue", "oue"])
    @pytest.mark.parametrize("permanent", [None, 2.0], ids=["fresh", "permanent"])
    def test_every_mechanism_passes(self, name: str, permanent: float | None) -> None:
        certificate = audit(surveyed(build(name, {}, 12, 1.0, permanent)), **FEW)
        assert certificate.holds, str(certificate)

    @pytest.mark.slow
    def test_rappor_passes_fresh_and_permanent(self) -> None:
        stated = '[CATEGORIES]\nmechanism = { name = "rappor", k = 8, h = 1, m = 4, f = 0.5, p = 0.25, q = 0.75 }'
        for text in (FRESH, PERMANENT):
            given = text.replace("epsilon = 1.0", "epsilon = 1.1").replace("= 2.0", "= 2.2")
            certificate = audit(survey(3, given.replace("[CATEGORIES]", stated)), **FEW)
            assert certificate.holds, str(certificate)

    @pytest.mark.slow
    def test_a_hundred_audits_raise_no_alarm(self) -> None:
        """A false alarm has a chance of about 1 in 10^5 per audit, so 1 in 1,000 for this test."""
        for number in range(100):
            assert audit(survey(3 + number % 5, PERMANENT if number % 2 else FRESH), **FEW).holds


class TestBrokenCodeIsFound:
    @pytest.mark.parametrize("name", some(broken.MECHANISMS, "d=6", "words"))
    def test_a_broken_mechanism_is_found(self, name: str) -> None:
        certificate = audit(surveyed(broken.MECHANISMS[name]()), **FEW)
        assert not certificate.holds
        assert "BREACH" in str(certificate)

    @pytest.mark.parametrize("name", some(broken.PERMANENT, "redrawn"))
    def test_a_broken_permanent_mechanism_is_found(self, name: str) -> None:
        assert not audit(surveyed(broken.PERMANENT[name]()), **FEW).holds

    @pytest.mark.parametrize("name", some(broken.SOURCES, "clamp"))
    def test_a_broken_random_source_is_found(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        kind, method, other = broken.SOURCES[name]
        monkeypatch.setattr(kind, method, other)
        assert not finding(audit(survey(3), **FEW), "the random source").holds

    @pytest.mark.parametrize("name", some(broken.MEMORIES, "one value"))
    @pytest.mark.parametrize("domain", [5, *(pytest.param(one, marks=pytest.mark.slow) for one in (2, 256))])
    def test_a_client_with_a_broken_memory_is_found(
        self, name: str, domain: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "recall", broken.MEMORIES[name])
        certificate = audit(survey(domain, PERMANENT), **FEW)
        assert not finding(certificate, "the client").holds
        assert finding(certificate, "one report").holds

    @pytest.mark.parametrize("name", some(broken.CLIENTS, "source", "without events"))
    def test_a_broken_client_is_found(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        broken.CLIENTS[name](monkeypatch)
        assert not audit(survey(4), **FEW).holds

    def test_at_least_40_mistakes_are_tried(self) -> None:
        kinds = (broken.MECHANISMS, broken.PERMANENT, broken.SOURCES, broken.MEMORIES, broken.CLIENTS)
        assert sum(map(len, kinds)) >= 40


def test_an_audit_fails_if_the_client_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "tick", lambda self, timeout=0.0: None)
    with pytest.raises(SimulationError, match=r"the client did not answer 64 questions on 2 days: silent"):
        audit(survey(3), **FEW)


def test_random_branches_replace_rows_that_are_too_large() -> None:
    """With fewer branches than one row needs, no row is exact and no bound is proven."""
    certificate = audit(survey(8), 1_000, branches=10)
    bound = finding(certificate, "one report")
    assert (bound.method, bound.values, bound.epsilon, bound.verdict) == (Method.BRANCHES, 0, None, "not refuted")
    assert "512 random branches of every segment had exactly the probability" in str(certificate)
    assert str(certificate).splitlines()[0].endswith("no bound is refuted (0 proven, 1 tested)")


@pytest.mark.slow
def test_some_rows_of_a_large_domain_are_exact() -> None:
    """If the branches suffice for 2 of 256 rows, the certificate says so and claims no proof."""
    certificate = audit(survey(256), 1_000, branches=140_000)
    bound = finding(certificate, "one report")
    assert (bound.values, bound.proven) == (2, False)
    assert bound.epsilon == pytest.approx(1.0, abs=1e-9)
    assert "every branch of the shipped code for 2 of 256 segments" in str(certificate)


def test_a_question_with_permanent_memory_has_two_bounds() -> None:
    certificate = audit(survey(3, PERMANENT), **FEW)
    assert [one.bound for one in certificate.findings] == [
        "all reports of one answer",
        "one report",
        "the client",
        "the whole survey",
        "the random source",
    ]
    assert finding(certificate, "all reports of one answer").epsilon == pytest.approx(2.0, abs=1e-9)
    assert certificate.as_dict()["memory"] == "permanent"
    assert "epsilon 4 over the whole survey of what was answered, not whether and when it changed:" in str(certificate)


@pytest.mark.slow
def test_a_certificate_names_the_audited_code_and_the_date(example: Path) -> None:
    certificate = audit(survey(2), **FEW)
    made = certificate.provenance
    assert re.fullmatch(r"[0-9a-f]{64}", made.code)
    assert f"made {made.made} with hushtally {made.version}, " in str(certificate)
    assert ("not a checkout" in str(certificate)) == (made.commit is None)


def test_the_bit_test_has_the_stated_power() -> None:
    """A bit that is 1 in 52% of the words passes with a chance below 1 in 1,000."""
    limit = next(count for count in range(WORDS // 2, WORDS) if bdtr(WORDS - count, WORDS, 0.5) < FALSE_ALARM / 256)
    assert bdtr(limit - 1, WORDS, 0.52) < 1e-3


@pytest.mark.slow
def test_every_part_of_an_audit_shows_progress() -> None:
    """If a progress bar announces a number of steps, it takes that many."""
    recorder = ProgressRecorder()
    audit(survey(3, PERMANENT), progress=recorder, **FEW)
    assert [words for words, _, _ in recorder.shown] == [
        "enumerating kind",
        "random branches of kind",
        "enumerating kind",
        "following the client for kind",
        "sampling kind",
        "running the whole survey",
        "testing the random source",
    ]
    assert all(total is None or total == taken for _, total, taken in recorder.shown)


def test_the_lower_bound_uses_clopper_pearson_intervals() -> None:
    """Each rate gets half of the error; an event that never happened gives no bound."""
    assert Distinguisher("", 0, 5, 100).lower_bound(0.05) == -math.inf
    # from tables: one-sided 97.5% ends for 50 and for 10 of 100
    assert Distinguisher("", 50, 10, 100).lower_bound(0.05) == pytest.approx(math.log(0.3983 / 0.1762), abs=1e-3)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_certificate() -> None:
    one, other = (str(audit(survey(3), seed=5, **FEW)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"trials": 5}, "trials must be at least 1,000, got 5"), ({"branches": 0}, "branches must be at least 1, got 0")],
)
def test_arguments_outside_their_ranges_are_refused(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        audit(survey(3), **arguments)


@pytest.mark.slow
def test_the_command_prints_text_json_and_csv(example: Path) -> None:
    few = ["--trials", "1000", "--branches", "20000"]
    result = CliRunner().invoke(main, ["audit", str(example), *few])
    assert result.exit_code == 0, result.output
    assert "the bound of every report is proven; the client and its random source passed their tests" in result.output
    assert "frequency, one report: at most 1: proven" in result.output
    assert "to 12 digits" in result.output
    assert "epsilon 7 over the whole survey:\n  this follows from the bounds below by composition" in result.output
    shown = CliRunner().invoke(main, ["audit", str(example), *few, "--format", "json"])
    certificate = json.loads(shown.stdout)
    assert certificate["holds"] is True
    assert certificate["digest"] == Survey.load(example).digest
    assert certificate["provenance"].keys() == {"made", "version", "code", "commit", "modified"}
    table = CliRunner().invoke(main, ["audit", str(example), *few, "--format", "csv"])
    assert len(table.stdout.splitlines()) == 1 + len(certificate["findings"])


@pytest.mark.slow
def test_the_command_exits_with_1_if_a_bound_is_broken(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Direct, "perturb", lambda self, value, randomness: value)
    result = CliRunner().invoke(main, ["audit", str(example), "--trials", "1000"])
    assert result.exit_code == 1
    assert "frequency, one report: at most 1: BROKEN" in result.output
    assert "Traceback" not in result.output
