"""Which code was audited, and when: the version, the commit, and a digest of the client's source files."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self

from hushtally.client_sdk.clock import utc_today
from hushtally.version import VERSION


@dataclass(frozen=True)
class Provenance:
    """The audited code and the day of the audit.

    code: SHA-256 of the source files of the client SDK; None in a frozen app, which has no source files. commit: None
    outside a checkout.
    """

    made: date
    version: str
    code: str | None
    commit: str | None
    modified: bool  # whether the client SDK differs from the commit

    @classmethod
    def here(cls) -> Self:
        """The provenance of the running code, today."""
        folder = resources.files("hushtally.client_sdk")
        commit, modified = "", False
        if isinstance(folder, Path):  # in an archive, there is no checkout
            real = folder.resolve()
            commit = _git(real, "rev-parse", "HEAD") if _git(real, "ls-files", "--error-unmatch", "client.py") else ""
            modified = bool(commit and _git(real, "status", "--porcelain", "--", "."))
        return cls(utc_today(), VERSION, _digest(folder), commit or None, modified)

    def __str__(self) -> str:
        code = self.code or "without source files, so it has no digest"
        if self.commit is None:
            return f"made {self.made} with hushtally {self.version}, not a checkout; client code {code}"
        state = "with uncommitted changes" if self.modified else "without changes"
        return f"made {self.made} with hushtally {self.version}, commit {self.commit} {state}; client code {code}"


def _digest(folder: Traversable) -> str | None:
    sources = dict(_sources(folder, ()))
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{'/'.join(name)}\0".encode())
        digest.update(sources[name].read_bytes() + b"\0")
    return digest.hexdigest() if sources else None


def _sources(folder: Traversable, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    """Every Python file below a folder, by the parts of its path."""
    for entry in folder.iterdir():
        name = (*above, entry.name)
        if entry.is_dir():
            yield from _sources(entry, name)
        elif entry.name.endswith(".py"):
            yield name, entry


def _git(folder: Path, *arguments: str) -> str:
    """The output of git in the folder; empty if git is missing, fails, or the folder is not in a checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
