"""Builds the distributions once and installs them into environments of their own, without the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("client_sdk", "collector", "aggregator", "simulations")
SKIPPED = (".git", ".venv", ".*_cache", "__pycache__", "build", "dist", "*.db*", "tests", "benchmarks", "docs")
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds one installation of hushtally and sees the dependencies of this one."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where packages are installed."""
        return next(self.folder.glob("lib/python*/site-packages"))

    def install(self, *what: str) -> None:
        """Installs a wheel, or a checkout with `-e`; builds with the hatchling of this environment."""
        options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", *options, *what]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def run(self, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs the interpreter in a folder; warnings are errors."""
        command = [self.python, "-W", "error", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def new_environment(folder: Path) -> Environment:
    """An empty environment that sees the packages that are installed here, but no editable installation."""
    venv.create(folder, symlinks=True, with_pip=False)
    environment = Environment(folder)
    # a .pth file inside a folder that another .pth file names is not read: that is where editable installations are
    (environment.site_packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment


def copy_checkout(folder: Path) -> Path:
    """A copy of the checkout that a test may change; its links stay links."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*SKIPPED))
    return folder


def build(kind: str, checkout: Path, target: Path) -> Path:
    """Builds a wheel or an sdist of a checkout as `python -m build --no-isolation` does; returns the file."""
    target.mkdir(parents=True, exist_ok=True)
    code = f"from hatchling.build import build_{kind} as build; print(build({str(target)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=checkout)
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from this checkout."""
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def unpacked_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the source distribution unpacks to."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **SAFELY)
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def wheel_from_sdist(unpacked_sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as an installer builds it."""
    return build("wheel", unpacked_sdist, tmp_path_factory.mktemp("wheel_from_sdist"))


@pytest.fixture(scope="session")
def checkout_without_links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as git writes it with core.symlinks=false: a link is a file that contains its target."""
    checkout = copy_checkout(tmp_path_factory.mktemp("without_links") / "checkout")
    for part in PARTS:
        link = checkout / "hushtally" / part
        target = str(link.readlink())
        link.unlink()
        link.write_text(target)
    return checkout


@pytest.fixture(scope="session")
def wheel_without_links(checkout_without_links: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a checkout without links."""
    return build("wheel", checkout_without_links, tmp_path_factory.mktemp("wheel_without_links"))


@dataclass(frozen=True)
class Editable:
    """A copy of the checkout, and the environment in which it is installed with `pip install -e`."""

    checkout: Path
    environment: Environment


@pytest.fixture(scope="session")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Editable:
    """An editable installation of a copy of the checkout."""
    folder = tmp_path_factory.mktemp("editable")
    checkout = copy_checkout(folder / "checkout")
    environment = new_environment(folder / "environment")
    environment.install("-e", str(checkout))
    return Editable(checkout, environment)


@pytest.fixture(scope="session")
def editable_without_links(checkout_without_links: Path, tmp_path_factory: pytest.TempPathFactory) -> Editable:
    """An editable installation of a checkout without links."""
    environment = new_environment(tmp_path_factory.mktemp("editable_without_links") / "environment")
    environment.install("-e", str(checkout_without_links))
    return Editable(checkout_without_links, environment)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed."""
    environment = new_environment(tmp_path_factory.mktemp("installed") / "environment")
    environment.install(str(wheel))
    return environment
