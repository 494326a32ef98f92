"""The survey of the demo, and the names of its files."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.output.output_file import write_file
from hushtally.simulations.demo.purchases import LOG_ENDS, shift_to

SURVEY_FILE, DATABASE_FILE = "cdnow.toml", "hushtally.db"


def write_survey(path: Path, epsilon: float, today: date) -> Survey:
    """Write the survey file and read it back; the survey starts in the week in which the shifted log ends."""
    starts = EpochLength.WEEK.start(LOG_ENDS + shift_to(today))
    text = files("hushtally.simulations.demo").joinpath("data/cdnow.toml").read_text(encoding="utf-8")
    write_file(path, text.format(starts=starts, ends=starts + timedelta(days=13), epsilon=epsilon))
    return Survey.load(path)
