"""A batch of reports: the body of a request."""

from __future__ import annotations

from typing import Any

from reference_client.canonical import canonical, digest
from reference_client.words import Words

MAX_BYTES, MAX_REPORTS = 262_144, 1_000


def body(survey: dict[str, Any], batch: str, reports: list[dict[str, Any]]) -> str:
    """The JSON of a batch. A retry sends the same bytes."""
    return canonical(
        {
            "batch": batch,
            "survey": survey["id"],
            "version": survey["version"],
            "digest": digest(survey),
            "reports": sorted(reports, key=lambda report: str(report["question"])),
        }
    )


def new_id(words: Words) -> str:
    return "".join(f"{words.below(2**64):016x}" for _ in range(2))
