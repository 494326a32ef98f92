"""What importing the pure part loads: nothing that touches a file, the network, a thread or a clock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WITH_EFFECTS = {
    "client_sdk.client", "client_sdk.aio", "client_sdk.delivery", "client_sdk.device", "client_sdk.fetch",
    "client_sdk.forking", "client_sdk.http_attempt", "client_sdk.identity", "client_sdk.journal", "client_sdk.outbox",
    "client_sdk.permission", "client_sdk.state", "client_sdk.ticker", "client_sdk.transport",
    "collector.app", "collector.server", "collector.sqlite_store", "collector.writer",
    "aggregator.cli", "aggregator.database", "sqlite3",
}  # fmt: skip
# numpy and scipy load some of these for themselves
OF_THE_SYSTEM = {"asyncio", "http", "logging", "multiprocessing", "random", "secrets", "socket", "ssl", "subprocess",
                 "tempfile", "threading"}  # fmt: skip


@pytest.mark.parametrize(
    ("module", "effects"),
    [
        ("client_sdk.survey", WITH_EFFECTS | OF_THE_SYSTEM),
        ("client_sdk.mechanisms", WITH_EFFECTS | OF_THE_SYSTEM),
        ("client_sdk.report", WITH_EFFECTS | OF_THE_SYSTEM),
        ("client_sdk.channel", WITH_EFFECTS | OF_THE_SYSTEM),
        ("client_sdk.retention", WITH_EFFECTS | OF_THE_SYSTEM),
        ("collector.admission", WITH_EFFECTS | OF_THE_SYSTEM),
        ("aggregator.summary", WITH_EFFECTS),
    ],
)
def test_the_pure_part_loads_nothing_with_effects(module, effects):
    """Also not by way of what it imports, or of the packages that these lie in."""
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stderr == ""
    loaded = set(json.loads(done.stdout))
    assert module in loaded
    assert loaded & effects == set()


def test_each_name_is_of_a_module():
    """A module that was renamed would no longer be looked for."""
    ours = [name for name in WITH_EFFECTS if "." in name]
    assert [name for name in ours if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []
