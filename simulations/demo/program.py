"""The words of a command that starts the running program: installed, as a module, in a zip archive or frozen."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def typed_words() -> list[str]:
    """Return the words that a person types to start this program again."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.executable, "-m", "hushtally"]
    if script.is_file() and zipfile.is_zipfile(script) and not getattr(sys, "frozen", False):
        return [sys.executable, str(script)]
    return ["hushtally"] if shutil.which("hushtally") == str(script.absolute()) else [str(script)]


def process_words() -> list[str]:
    """Return the words that start this program in another process with `process_environment`."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hushtally"]


def process_environment() -> Mapping[str, str]:
    """Return the environment in which another process imports the same modules from the same paths or archives."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
