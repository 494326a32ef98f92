"""What the wheel and the source distribution contain."""

import email
import re
import subprocess
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("client_sdk", "collector", "aggregator", "simulations")


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel by its name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(wheel: Path) -> Message:
    """The metadata of a wheel."""
    [text] = [data for name, data in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(text)


def tracked() -> set[str]:
    """The files that are under version control, without the links."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return {name for name in listed.split("\0") if (ROOT / name).is_file() and not (ROOT / name).is_symlink()}


def test_the_wheel_contains_one_package(wheel: Path) -> None:
    """Everything is below `hushtally`: no top-level name that an app or another wheel may use as well."""
    names = [name for name in contents(wheel) if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"hushtally"}


def test_the_wheel_contains_every_module_once(wheel: Path) -> None:
    """The folders are in the wheel below the import root, with their data files and type markers."""
    names = contents(wheel)
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "hushtally").glob("*.py")}
    for folder in ("output", "survey"):
        sources |= {str(path.relative_to(ROOT)) for path in (ROOT / "hushtally" / folder).rglob("*.py")}
    sources |= {str("hushtally" / path.relative_to(ROOT)) for part in PARTS for path in (ROOT / part).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    data = {f"hushtally/survey/templates/{name}.toml" for name in ("shop", "media", "app", "kiosk")}
    data |= {"hushtally/py.typed", "hushtally/simulations/demo/data/cdnow.toml"}
    data |= {"hushtally/survey/card/page.html"}
    assert data <= set(names)
    assert {f"hushtally/{part}/py.typed" for part in PARTS} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".db"))]


def test_every_way_of_building_gives_the_same_wheel(
    wheel: Path, wheel_from_sdist: Path, wheel_without_links: Path
) -> None:
    """Built directly, through the source distribution, and from a clone with core.symlinks=false."""
    assert contents(wheel_from_sdist) == contents(wheel)
    assert contents(wheel_without_links) == contents(wheel)


def test_the_source_distribution_contains_all_that_is_under_version_control(unpacked_sdist: Path) -> None:
    """Tests, documentation, examples and benchmarks are included; the links are not."""
    found = {str(path.relative_to(unpacked_sdist)) for path in unpacked_sdist.rglob("*") if path.is_file()}
    assert tracked() - found == set()
    for folder in ("tests", "docs", "examples", "benchmarks"):
        assert any(name.startswith(f"{folder}/") for name in found)
    assert not [path for path in unpacked_sdist.rglob("*") if path.is_symlink()]
    assert not [part for part in PARTS if (unpacked_sdist / "hushtally" / part).exists()]


def test_the_metadata_names_what_the_project_promises(wheel: Path) -> None:
    """License, Python versions and the readme as the package index shows them."""
    found = metadata(wheel)
    assert found["Name"] == "hushtally"
    assert found["License-Expression"] == "Apache-2.0"
    assert found["Description-Content-Type"] == "text/markdown"
    classifiers = found.get_all("Classifier", [])
    versions = [one.rpartition(" ")[2] for one in classifiers if re.fullmatch(r"Programming .* 3\.\d+", one)]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert found["Requires-Python"] == f">={versions[0]}"


def test_the_benchmarks_need_no_extra_of_the_distribution(wheel: Path) -> None:
    """What only the repository needs is a dependency group; a user is offered only extras that serve a command."""
    assert set(metadata(wheel).get_all("Provides-Extra", [])) == {"collector", "aggregator", "simulations", "all"}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert {"dev", "hooks", "bench"} <= set(groups)
