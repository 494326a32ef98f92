"""The example survey with changes, and the messages for mistakes in it."""

import copy
import re
import tomllib
from importlib import resources

import pytest

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey

EXAMPLE = resources.files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8")


def edited(changes):
    """The table of the example with other values at some places. The value ... removes a field."""
    table = tomllib.loads(EXAMPLE)
    for place, value in changes.items():
        steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", place)
        *path, last = [name or int(index) for name, index in steps]
        node = table
        for step in path:
            node = node[step]
        if value is ...:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(copy.deepcopy(value))
        else:
            node[last] = copy.deepcopy(value)
    return table


@pytest.fixture(name="edited")
def _edited():
    return edited


@pytest.fixture
def problems():
    """The lines of the error for an edited example."""

    def made(changes):
        with pytest.raises(SurveyError) as caught:
            Survey.from_resolved(edited(changes))
        return str(caught.value).splitlines()

    return made
