"""Certificates: the findings of an audit about every question of a survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import PERMANENT

ENUMERATION, STATISTICS = "enumeration", "statistics"


@dataclass(frozen=True)
class Finding:
    """One bound of one question; the fields are the stable keys of JSON and CSV.

    bound: the reports that it covers, like "one report". claimed: the survey's epsilon for them. method: "enumeration",
    with the exact `epsilon`, or "statistics", with a lower bound of epsilon at `confidence`, the number of trials per
    value, and the event with this bound. breaches: what is wrong; empty if the bound holds.
    """

    question: str
    mechanism: str
    segments: int
    symbols: int
    bound: str
    claimed: float
    method: str
    epsilon: float | None
    lower_bound: float | None
    confidence: float | None
    trials: int | None
    event: str | None
    breaches: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the audit found no breach of the bound."""
        return not self.breaches


@dataclass(frozen=True)
class Certificate:
    """The findings about a survey, identified by its digest. source: the randomness of the tested client."""

    survey: str
    version: int
    digest: str
    hushtally: str
    lifetime_epsilon: float
    memory: str
    source: str
    findings: Sequence[Finding]

    @classmethod
    def of(cls, survey: Survey, source: str, findings: Sequence[Finding]) -> Certificate:
        """A certificate with the findings about a survey."""
        return cls(
            survey.id, survey.version, survey.digest, metadata.version("hushtally"), survey.lifetime_epsilon,
            survey.privacy.memory, source, tuple(findings),
        )  # fmt: skip

    @property
    def holds(self) -> bool:
        """Whether the audit found no breach of any bound."""
        return all(finding.holds for finding in self.findings)

    def as_dict(self) -> dict[str, object]:
        """The certificate as values that JSON can hold."""
        findings = [asdict(finding) | {"holds": finding.holds} for finding in self.findings]
        return {**vars(self), "holds": self.holds, "findings": findings}

    def __str__(self) -> str:
        lines = [
            f"Certificate of {self.survey} v{self.version}: {self._verdict()}",
            f"  digest: {self.digest}",
            f"  hushtally: {self.hushtally}; randomness: {self.source}",
            f"  lifetime epsilon of a device: at most {self.lifetime_epsilon:g}",
            "  The lifetime epsilon follows from the bounds below by composition. It is not tested itself.",
        ]
        if self.memory == PERMANENT:
            lines.append("  It covers the answers, but not whether or when an answer changed.")
        for finding in self.findings:
            lines += ["", *_lines(finding)]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if not self.holds:
            return "A BOUND IS BROKEN"
        proven = sum(finding.method == ENUMERATION for finding in self.findings)
        if proven == len(self.findings):
            return "every bound is proven"
        return f"no bound is refuted ({proven} proven, {len(self.findings) - proven} only tested)"


def _lines(finding: Finding) -> list[str]:
    is_proof = finding.method == ENUMERATION
    verdict = "BROKEN" if not finding.holds else "proven" if is_proof else "not refuted"
    if is_proof:
        exact = "infinite" if finding.epsilon is None else f"{finding.epsilon:.12g} (to 12 digits)"
        result = f"enumeration of every branch of the shipped code: epsilon {exact}"
    else:
        result = (
            f"test with {finding.trials:,} reports of the shipped client per value: epsilon at least"
            f" {finding.lower_bound:.4f} with {finding.confidence:.0%} confidence, by this event: {finding.event}"
        )
    return [
        f"{finding.question}, {finding.bound}: epsilon at most {finding.claimed:g}: {verdict}",
        f"  mechanism: {finding.mechanism}; {finding.segments:,} segments, {finding.symbols:,} symbols",
        f"  {result}",
        *(f"  BREACH: {breach}" for breach in finding.breaches),
    ]
