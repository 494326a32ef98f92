"""Counters: one closed list of names, shown as plain strings."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from hushtally import client_sdk
from hushtally.client_sdk.state.counters import Fate

SDK = Path(client_sdk.__file__).parent


def test_a_status_shows_plain_strings_and_names_of_older_versions(lab):
    client = lab.client()
    client.record("nothing that a survey asks about")
    client.close()
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.execute("INSERT INTO counters SELECT device, 'a name of an older version', 3 FROM devices")
    counters = lab.client().status().counters
    assert counters == {"a name of an older version": 3, Fate.NOT_IN_SURVEY: 1}
    assert {type(name) for name in counters} == {str}


def test_no_other_file_writes_the_name_of_a_counter():
    literals = re.compile("|".join(re.escape(f'"{fate}"') for fate in Fate))
    found = [path.name for path in SDK.rglob("*.py") if literals.search(path.read_text(encoding="utf-8"))]
    assert found == ["counters.py"]
