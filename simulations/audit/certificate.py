"""Certificates: what an audit found out about every question of a survey, to be kept beside it."""

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

    bound: what it is about, like "one report". claimed: the survey's epsilon for it. method: "enumeration", with the
    exact `epsilon`, or "statistics", with a lower_bound of it at `confidence`, from so many trials per value and the
    event that tells most. breaches: what is wrong, none if the bound is kept.
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
        """Whether nothing was found against the bound."""
        return not self.breaches


@dataclass(frozen=True)
class Certificate:
    """The findings about a survey, named by its digest. source: where the audited client's randomness came from."""

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
        """A certificate of the findings about a survey."""
        return cls(
            survey.id, survey.version, survey.digest, metadata.version("hushtally"), survey.lifetime_epsilon,
            survey.privacy.memory, source, tuple(findings),
        )  # fmt: skip

    @property
    def holds(self) -> bool:
        """Whether nothing was found against any bound."""
        return all(finding.holds for finding in self.findings)

    def as_dict(self) -> dict[str, object]:
        """The certificate, JSON-ready."""
        findings = [asdict(finding) | {"holds": finding.holds} for finding in self.findings]
        return {**vars(self), "holds": self.holds, "findings": findings}

    def __str__(self) -> str:
        about = " of what was answered, not whether and when it changed" if self.memory == PERMANENT else ""
        lines = [
            f"Certificate of {self.survey} v{self.version}: {self._verdict()}",
            f"  digest {self.digest}",
            f"  hushtally {self.hushtally}; randomness: {self.source}",
            f"  a device reveals at most epsilon {self.lifetime_epsilon:g} over the whole survey{about}:",
            "  this follows from the bounds below by composition, and is not itself tested",
        ]
        for finding in self.findings:
            lines += ["", *_told(finding)]
        return "\n".join(lines)

    def _verdict(self) -> str:
        proven = sum(finding.method == ENUMERATION for finding in self.findings)
        if not self.holds:
            return "NOT ALL BOUNDS ARE KEPT"
        if proven == len(self.findings):
            return "every bound is proven"
        rest = len(self.findings) - proven
        return f"no bound is refuted ({proven} proven, {rest} only watched)"


def _told(finding: Finding) -> list[str]:
    about = f"{finding.question}, {finding.bound}: at most {finding.claimed:g}"
    by = f"  {finding.mechanism}, {finding.segments:,} segments, {finding.symbols:,} symbols"
    if finding.method == ENUMERATION:
        exact = "unbounded" if finding.epsilon is None else f"{finding.epsilon:.12g} to 12 digits"
        how = f"  enumerated, every branch of the shipped code: {exact}"
    else:
        how = (
            f"  {finding.trials:,} reports of the shipped client per value: at least {finding.lower_bound:.4f} with"
            f" {finding.confidence:.0%} confidence, by the event that {finding.event}"
        )
    sound = "proven" if finding.method == ENUMERATION else "not refuted"
    verdict = sound if finding.holds else "BROKEN"
    return [f"{about}: {verdict}", by, how, *(f"  BREACH: {breach}" for breach in finding.breaches)]
