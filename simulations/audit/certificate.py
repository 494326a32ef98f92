"""Certificates: the results of an audit of a survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import PERMANENT
from hushtally.simulations.audit.provenance import Provenance


class Method(StrEnum):
    """The method that produced a finding."""

    ENUMERATION = "enumeration"  # every branch of the shipped code, for every segment
    BRANCHES = "branches"  # every branch for some segments, random branches for all segments
    STATISTICS = "statistics"  # counts of random words
    TRACE = "trace"  # the calls and the reports of the shipped client


@dataclass(frozen=True)
class Finding:
    """The result of an audit for one bound or one part of the code. The fields are the stable keys of JSON and CSV.

    question: the id of the question; None if the finding is about the whole survey. bound: the bound or the part of the
    code, like "one report". claimed: the epsilon that the survey claims; None if it claims none. values: the number of
    `segments` that were tested. epsilon: the exact epsilon of the enumerated segments. lower_bound: a lower bound of
    epsilon with `confidence`, from `trials` reports per value, by `event`. power: what the tests would have found, in
    words. breaches: every mistake found; empty if there is none.
    """

    question: str | None
    mechanism: str | None
    segments: int | None
    symbols: int | None
    bound: str
    claimed: float | None
    method: Method
    values: int | None = None
    epsilon: float | None = None
    lower_bound: float | None = None
    confidence: float | None = None
    trials: int | None = None
    event: str | None = None
    power: str | None = None
    breaches: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no breach was found."""
        return not self.breaches

    @property
    def proven(self) -> bool:
        """Whether every branch of every segment was run, so that no mistake can have been missed."""
        return self.method is Method.ENUMERATION

    @property
    def verdict(self) -> str:
        """The verdict: "proven", "not refuted" or "BROKEN"."""
        if not self.holds:
            return "BROKEN"
        return "proven" if self.proven else "not refuted"


@dataclass(frozen=True)
class Certificate:
    """The findings about the survey with this digest. source: the source of the audited client's randomness."""

    survey: str
    version: int
    digest: str
    provenance: Provenance
    lifetime_epsilon: float
    memory: str
    source: str
    findings: Sequence[Finding]

    @classmethod
    def of(cls, survey: Survey, source: str, findings: Sequence[Finding]) -> Certificate:
        """Create the certificate of the findings about a survey, with the provenance of the running code."""
        return cls(
            survey.id,
            survey.version,
            survey.digest,
            Provenance.here(),
            survey.lifetime_epsilon,
            survey.privacy.memory,
            source,
            tuple(findings),
        )

    @property
    def holds(self) -> bool:
        """Whether no finding has a breach."""
        return all(finding.holds for finding in self.findings)

    def as_dict(self) -> dict[str, object]:
        """Return the certificate as a dictionary for JSON."""
        findings = [asdict(one) | {"holds": one.holds, "verdict": one.verdict} for one in self.findings]
        provenance = asdict(self.provenance) | {"made": self.provenance.made.isoformat()}
        return {**vars(self), "provenance": provenance, "holds": self.holds, "findings": findings}

    def __str__(self) -> str:
        about = " of what was answered, not whether and when it changed" if self.memory == PERMANENT else ""
        lines = [
            f"Certificate of {self.survey} v{self.version}: {self._verdict()}",
            f"  digest {self.digest}",
            f"  {self.provenance}",
            f"  randomness: {self.source}",
            f"  a device reveals at most epsilon {self.lifetime_epsilon:g} over the whole survey{about}:",
            "  this follows from the bounds below by composition",
        ]
        for finding in self.findings:
            lines += ["", *_lines(finding)]
        return "\n".join(lines)

    def _verdict(self) -> str:
        broken = sum(not finding.holds for finding in self.findings)
        if broken:
            return f"NOT KEPT: {broken} of {len(self.findings)} findings are breaches"
        bounds = [finding for finding in self.findings if finding.claimed is not None]
        proven = sum(finding.proven for finding in bounds)
        if proven == len(bounds):
            return "the bound of every report is proven; the client and its random source passed their tests"
        return f"no bound is refuted ({proven} proven, {len(bounds) - proven} tested)"


def _lines(finding: Finding) -> list[str]:
    about = f"{finding.question}, {finding.bound}" if finding.question else finding.bound
    limit = "" if finding.claimed is None else f": at most {finding.claimed:g}"
    lines = [f"{about}{limit}: {finding.verdict}"]
    if finding.mechanism:
        lines.append(f"  {finding.mechanism}, {finding.segments:,} segments, {finding.symbols:,} symbols")
    if finding.epsilon is not None and finding.values:
        which = "every segment" if finding.proven else f"{finding.values:,} of {finding.segments:,} segments"
        lines.append(f"  every branch of the shipped code for {which}: epsilon {finding.epsilon:.12g} to 12 digits")
    if finding.lower_bound is not None:
        lines.append(
            f"  {finding.trials:,} reports of the shipped client per segment: at least {finding.lower_bound:.4f} with"
            f" {finding.confidence:.0%} confidence, by the event that {finding.event}"
        )
    if finding.power:
        lines.append(f"  {finding.power}")
    return lines + [f"  BREACH: {breach}" for breach in finding.breaches]
