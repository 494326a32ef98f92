"""The command in one file: a zip archive that Python runs, and a frozen app, which contains Python as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipapp
import zipfile
from pathlib import Path

import pytest

from hushtally.simulations.audit.provenance import Provenance
from hushtally.version import VERSION

MAIN = 'from hushtally.cli import main\n\nmain(prog_name="hushtally")\n'


class App:
    """An app that runs in an empty folder; it finds the dependencies of this environment, but no hushtally."""

    def __init__(self, folder: Path, words: list[str | Path]) -> None:
        self.folder = folder
        self._words = words
        self._environment = os.environ | {"PYTHONPATH": str(folder / "dependencies")}

    def run(self, *arguments: str) -> str:
        """What a call prints; it must succeed and print nothing on stderr but what a person expects."""
        done = subprocess.run(
            [*self._words, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        return done.stdout


@pytest.fixture(params=["with-metadata", "without-metadata"])
def archive(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> App:
    """The wheel as a zip archive that Python runs, with and without the folder that has its metadata."""
    source = tmp_path / "source"
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if request.param == "with-metadata" or ".dist-info/" not in name]
        packed.extractall(source, names)
    (source / "__main__.py").write_text(MAIN)
    zipapp.create_archive(source, tmp_path / "hushtally.pyz")
    (tmp_path / "dependencies").mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(("hushtally", "_hushtally")) and path.suffix != ".pth":
            (tmp_path / "dependencies" / path.name).symlink_to(path)
    # this interpreter itself instead of that of the environment, which would find an editable installation
    return App(tmp_path, [Path(sys.executable).resolve(), tmp_path / "hushtally.pyz"])


def require_every_command(app: App) -> None:
    """The version, the data files, the lazily imported modules and the collector process are all there."""
    assert app.run("--version") == f"hushtally, version {VERSION}\n"
    app.run("survey", "new", "survey.toml")
    assert "shopping-habits v1 is valid" in app.run("survey", "check", "survey.toml")
    assert "What you can do" in app.run("survey", "explain", "survey.toml")
    assert app.run("survey", "card", "survey.toml").startswith("# Data protection impact assessment")
    app.run("tune", "survey.toml", "--devices", "100000", "--epsilon", "1", "--output", "page.html")
    assert VERSION in (app.folder / "page.html").read_text(encoding="utf-8")
    assert "interval" in app.run("simulate", "survey.toml", "--devices", "100000", "--pictures", "pictures")
    certificate = json.loads(
        app.run("audit", "survey.toml", "--trials", "1000", "--branches", "100", "--format", "json")
    )
    assert certificate["provenance"]["version"] == VERSION
    assert certificate["provenance"]["code"] == Provenance.here().code
    assert "95% interval" in app.run("demo", "--customers", "300", "--keep", "kept")
    assert len(json.loads(app.run("estimate", "cdnow", "--database", "kept/hushtally.db", "--format", "json"))) > 1
    assert "nothing to erase" in app.run("purge", "--database", "kept/hushtally.db")


@pytest.mark.slow
def test_every_command_runs_from_an_archive(archive: App) -> None:
    """Nothing needs to be unpacked. The metadata of the distribution is not needed either."""
    require_every_command(archive)


@pytest.mark.slow
def test_the_demo_in_an_archive_names_commands_that_work(archive: App) -> None:
    """A command that runs the archive, not an installed `hushtally`."""
    out = archive.run("demo", "--customers", "20")
    [line] = [line.strip() for line in out.splitlines() if "--keep demo" in line]
    assert line.startswith(f"{Path(sys.executable).resolve()} {archive.folder}/hushtally.pyz demo ")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["--onedir", "--onefile"])
def test_every_command_runs_in_a_frozen_app(wheel: Path, tmp_path: Path, kind: str) -> None:
    """`pyinstaller --collect-all hushtally` needs no other option; see docs/howto/frozen.md."""
    pytest.importorskip("PyInstaller", reason="needs: pip install --group frozen")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "source")
    (tmp_path / "app.py").write_text(MAIN)
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", kind, "--name", "hushtally"]
    options = ["--collect-all", "hushtally", "--paths", "source", "app.py"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "source")}
    subprocess.run([*command, *options], cwd=tmp_path, env=environment, check=True, timeout=600)
    made = tmp_path / "dist" / "hushtally"
    require_every_command(App(tmp_path, [made / "hushtally" if kind == "--onedir" else made]))
