"""The running program as the words of a command: installed, as a module, in a zip archive or frozen."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def typed_words() -> list[str]:
    """The words with which a person starts this program again."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.executable, "-m", "hushtally"]
    if script.is_file() and zipfile.is_zipfile(script) and not getattr(sys, "frozen", False):
        return [sys.executable, str(script)]
    return ["hushtally"] if shutil.which("hushtally") == str(script.absolute()) else [str(script)]


def process_words() -> list[str]:
    """The words that start this program in another process, which needs `process_environment`."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hushtally"]


def process_environment() -> Mapping[str, str]:
    """The environment of such a process, which imports the same modules from the same places, such as an archive."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
