"""Loads the second client, as it is or with a mistake in one of its modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace

PACKAGE = "reference_client"
FOLDER = Path(__file__).parent / PACKAGE
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def source(name: str) -> str:
    """The source of a module, such as "rules"."""
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def load(changed: dict[str, str] | None = None) -> SimpleNamespace:
    """The modules of the second client by name. changed: other sources for some of them, by name."""
    with _only(_Finder(changed or {})):
        return SimpleNamespace(**{name: importlib.import_module(f"{PACKAGE}.{name}") for name in NAMES})


@contextmanager
def _only(finder: _Finder) -> Iterator[None]:
    """Import the package with this finder, and forget it afterwards."""
    before = _forget()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _forget()
        sys.modules.update(before)


def _forget() -> dict[str, ModuleType]:
    loaded = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    return {name: sys.modules.pop(name) for name in loaded}


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of the package, with changed sources."""

    def __init__(self, changed: dict[str, str]) -> None:
        self.changed = changed

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        package, _, _ = fullname.partition(".")
        return ModuleSpec(fullname, self, is_package=fullname == PACKAGE) if package == PACKAGE else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__.removeprefix(PACKAGE).removeprefix(".") or "__init__"
        code = compile(self.changed[name], name, "exec") if name in self.changed else _compiled(name)
        exec(code, module.__dict__)


@cache
def _compiled(name: str) -> CodeType:
    return compile(source(name), str(FOLDER / f"{name}.py"), "exec")
