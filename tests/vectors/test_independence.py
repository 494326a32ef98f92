"""The second client shows that the pages suffice, so it must not use the first one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parent / "reference_client"
MODULES = sorted(CLIENT.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_second_client_imports_only_the_standard_library_and_its_own_modules(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [str(node.module)]
        for name in names:
            assert name.partition(".")[0] in {*sys.stdlib_module_names, "reference_client"}, name


def test_the_second_client_runs_without_hushtally() -> None:
    """All its modules are loaded in an interpreter that has neither hushtally nor any other package."""
    modules = [f"reference_client.{path.stem}" for path in MODULES if path.stem != "__init__"]
    program = "\n".join(
        [
            f"import sys; sys.path.insert(0, {str(CLIENT.parent)!r})",
            f"import {', '.join(modules)}",
            "print('hushtally' in sys.modules)",
        ]
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
