"""An editable installation: `pip install -e` of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PARTS = ("client_sdk", "collector", "aggregator", "simulations")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_a_link_to_a_folder_of_the_repository(part: str) -> None:
    """A relative link, so that a checkout works wherever it is."""
    link = ROOT / "hushtally" / part
    if not link.exists():
        pytest.skip("a source distribution contains no links")
    assert str(link.readlink()) == f"../{part}"


def test_an_editable_installation_imports_the_checkout(editable: Any, tmp_path: Path) -> None:
    code = "import hushtally.collector.app as app; print(app.__file__)"
    done = editable.environment.run("-c", code, cwd=tmp_path)
    assert done.stderr == ""
    assert Path(done.stdout.strip()).resolve() == editable.checkout / "collector" / "app.py"


@pytest.mark.parametrize("folder", ["collector", "simulations/tune", "hushtally/survey"])
def test_an_editable_installation_sees_new_files(editable: Any, tmp_path: Path, folder: str) -> None:
    """A module that is created after the installation can be imported at once."""
    (editable.checkout / folder / "brand_new.py").write_text("VALUE = 42\n")
    name = "hushtally." + folder.removeprefix("hushtally/").replace("/", ".") + ".brand_new"
    done = editable.environment.run("-c", f"import {name} as new; print(new.VALUE)", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("42\n", "")


@pytest.mark.parametrize("name", ["collector.app", "aggregator.summary", "simulations.tune.command", "survey.commands"])
def test_an_editable_installation_works_without_links(editable_without_links: Any, tmp_path: Path, name: str) -> None:
    """Git writes a link as a plain file if core.symlinks is false; imports still find the folders."""
    code = f"import hushtally.{name}; from hushtally import Client; print(Client.__module__)"
    done = editable_without_links.environment.run("-c", code, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("hushtally.client_sdk.client\n", "")


def test_the_command_works_without_links(editable_without_links: Any, tmp_path: Path) -> None:
    run = editable_without_links.environment.run
    done = run("-m", "hushtally", "survey", "new", "survey.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run("-m", "hushtally", "survey", "check", "survey.toml", cwd=tmp_path).returncode == 0


def test_an_installed_wheel_searches_no_other_folder(installed: Any, tmp_path: Path) -> None:
    """Without links the package also searches the checkout; an installed package searches only itself."""
    code = "import hushtally; print(len(hushtally.__path__))"
    assert installed.run("-c", code, cwd=tmp_path).stdout == "1\n"
