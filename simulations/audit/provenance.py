"""Which code was audited, and when: the version, the commit, and a digest of the client's source files."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from datetime import date
from importlib import metadata, resources
from pathlib import Path
from typing import Self

from hushtally.client_sdk.clock import utc_today


@dataclass(frozen=True)
class Provenance:
    """The audited code and the day of the audit. code: SHA-256 of the client SDK; commit: None outside a checkout."""

    made: date
    version: str
    code: str
    commit: str | None
    modified: bool  # whether the client SDK differs from the commit

    @classmethod
    def here(cls) -> Self:
        """The provenance of the running code, today."""
        with resources.as_file(resources.files("hushtally.client_sdk")) as folder:
            real = folder.resolve()
            commit = _git(real, "rev-parse", "HEAD") if _git(real, "ls-files", "--error-unmatch", "client.py") else ""
            modified = bool(commit and _git(real, "status", "--porcelain", "--", "."))
            return cls(utc_today(), metadata.version("hushtally"), _digest(real), commit or None, modified)

    def __str__(self) -> str:
        if self.commit is None:
            return f"made {self.made} with hushtally {self.version}, not a checkout; client code {self.code}"
        state = "with uncommitted changes" if self.modified else "without changes"
        return f"made {self.made} with hushtally {self.version}, commit {self.commit} {state}; client code {self.code}"


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str:
    """The output of git in the folder; empty if git is missing, fails, or the folder is not in a checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
