"""What an import costs, and what it needs."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("package", ["hushtally", "hushtally.client_sdk.client"])
def test_importing_the_sdk_on_a_device_is_cheap(package):
    """A fresh interpreter that imports the SDK has loaded nothing that costs start-up time or memory."""
    heavy = ["numpy", "flask", "click", "sqlite_utils", "urllib.request", "ssl", "http", "asyncio", "scipy", "rich"]
    done = run_python(f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_sdk_alone_works_without_any_extra():
    """With every other package hidden, a survey is read, resolved and answered."""
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "scipy", "flask", "click", "rich", "sqlite_utils",
                                      "waitress"}:
            raise ImportError(name)
sys.meta_path.insert(0, Hidden())
from pathlib import Path
from hushtally import Survey
survey = Survey.load(Path("hushtally/survey/templates/shop.toml"))
print(len(survey.digest), survey.questions[0].form.value({"orders_90d": 3}))
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("64 2\n", "")


def test_the_base_install_needs_pure_eval_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [re.match(r"[\w-]+", one)[0] for one in project["project"]["dependencies"]] == ["pure-eval"]


def test_importing_hushtally_loads_nothing_else() -> None:
    """`import hushtally` loads no module of the SDK and no database; a name loads its module at its first use."""
    code = """
import sys
before = set(sys.modules)
import hushtally
ours = lambda: sorted(name for name in sys.modules if name.startswith("hushtally."))
print(ours(), sorted({"sqlite3", "threading"} & (set(sys.modules) - before)))
hushtally.Survey
print("hushtally.client_sdk.survey" in ours(), "hushtally.client_sdk.client" in ours())
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("[] []\nTrue False\n", "")


def test_every_public_name_can_be_listed_and_imported() -> None:
    """`dir(hushtally)` lists the public names, and `from hushtally import *` imports all of them."""
    code = """
import hushtally
assert set(hushtally.__all__) <= set(dir(hushtally)), dir(hushtally)
assert sorted(hushtally.__all__) == sorted(hushtally._MODULES)
from hushtally import *
assert Client is hushtally.Client
print([name for name in hushtally.__all__ if name not in globals()])
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_name_that_does_not_exist_raises_an_attribute_error() -> None:
    done = run_python("import hushtally; print(hasattr(hushtally, 'Clinet'))")
    assert (done.stdout, done.stderr) == ("False\n", "")
