"""Mistakes made in the example survey, and what is said of them."""

import copy
import re
import tomllib
from importlib import resources

import pytest

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey

EXAMPLE = resources.files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")


def edited(changes):
    """The example's table with other values at some places; ... takes a field away."""
    table = tomllib.loads(EXAMPLE)
    for place, value in changes.items():
        steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", place)
        *way, last = [name or int(index) for name, index in steps]
        spot = table
        for step in way:
            spot = spot[step]
        if value is ...:
            del spot[last]
        elif isinstance(spot, list) and last == len(spot):
            spot.append(copy.deepcopy(value))
        else:
            spot[last] = copy.deepcopy(value)
    return table


@pytest.fixture(name="edited")
def _edited():
    return edited


@pytest.fixture
def problems():
    """The lines of the error that an edited example makes."""

    def made(changes):
        with pytest.raises(SurveyError) as caught:
            Survey.from_resolved(edited(changes))
        return str(caught.value).splitlines()

    return made
