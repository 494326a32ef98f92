"""Populations from shapes, from files of shares, and from event logs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.population.shape import Shape

LOG = """device,day,event,amount,category
a,2026-10-01,purchase,15,books
a,2026-10-20,purchase,25.5,books
b,2026-05-01,purchase,10,music
c,2026-10-20,visit,,
c,2026-10-19,purchase,400,games
"""


@pytest.fixture
def survey(example: Path) -> Survey:
    return Survey.load(example)


@pytest.mark.parametrize(
    ("words", "shares"),
    [
        ("uniform", [0.25, 0.25, 0.25, 0.25]),
        ("zipf", [0.48, 0.24, 0.16, 0.12]),
        ("zipf:0", [0.25, 0.25, 0.25, 0.25]),
        ("geometric", [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ("geometric:0.1", [1000 / 1111, 100 / 1111, 10 / 1111, 1 / 1111]),
    ],
)
def test_shapes_have_the_stated_shares(words: str, shares: list[float]) -> None:
    assert Shape.parse(words).shares(4) == pytest.approx(shares)
    assert Shape.parse(str(Shape.parse(words))) == Shape.parse(words)


def test_json_and_csv_state_the_same_shares(survey: Survey, tmp_path: Path) -> None:
    """Segments that are left out have share 0; questions that are left out have the shape."""
    stated = {"frequency": {"none": 0.7, "heavy": 0.3}}
    (tmp_path / "truth.json").write_text(json.dumps(stated), encoding="utf-8")
    (tmp_path / "truth.csv").write_text("question,segment,share\nfrequency,none,0.7\nfrequency,heavy,.3\n", "utf-8")
    for name in ("truth.json", "truth.csv"):
        population = Population.load(tmp_path / name, survey, "uniform")
        assert population.shares(survey.question("frequency")) == pytest.approx([0.7, 0, 0, 0.3])
        assert population.shares(survey.question("affinity")) == pytest.approx([0.25] * 4)


def test_rounded_shares_are_scaled_to_sum_to_one(survey: Survey, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"frequency": {"none": 0.333, "once": 0.333, "heavy": 0.333}}', encoding="utf-8")
    assert Population.load(path, survey).shares(survey.question("frequency")).sum() == pytest.approx(1)


def test_the_surveys_rules_turn_an_event_log_into_segments(survey: Survey, tmp_path: Path) -> None:
    """As of the last day, 20 October: the purchase of b is more than 90 days old, and c only visited on that day."""
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    population = Population.load(path, survey)
    third = 1 / 3
    assert population.shares(survey.question("frequency")) == pytest.approx([third, third, third, 0])
    assert population.shares(survey.question("affinity")) == pytest.approx([third, 0, third, third])
    assert population.shares(survey.question("basket")) == pytest.approx([0, third, 0, 0, third, third])
    joint = dict(
        zip(
            survey.question("frequency_x_returned").segments,
            population.shares(survey.question("frequency_x_returned")),
            strict=True,
        )
    )
    assert joint == pytest.approx(
        {**dict.fromkeys(joint, 0.0), "regular & yes": third, "none & no": third, "once & yes": third}
    )


def test_events_that_no_signal_uses_are_counted(survey: Survey, example: Path, tmp_path: Path) -> None:
    """A log may contain other events, but one of them may be a misspelled event."""
    path = tmp_path / "log.csv"
    path.write_text(f"{LOG}c,2026-10-19,purchsae,1,games\nc,2026-10-19,purchsae,1,games\n", encoding="utf-8")
    assert Population.load(path, survey).warnings == (
        f"{path}: no signal uses event 'purchsae' (2 times, first in line 7); did you mean 'purchase'?",
        f"{path}: no signal uses event 'visit' (1 time, first in line 5)",
    )
    others = "".join(f"c,2026-10-19,{letter * 3},,\n" for letter in "klmnoop")
    path.write_text(f"{LOG}{others}c,2026-10-19\n", encoding="utf-8")
    assert Population.load(path, survey).warnings[-1] == f"{path}: no signal uses 4 more events with 3 other names"
    path.write_text(LOG + "".join(f"c,2026-10-19,{letter * 3},,\n" for letter in "klmno"), encoding="utf-8")
    assert Population.load(path, survey).warnings[-1] == f"{path}: no signal uses 1 more event with 1 other name"
    path.write_text(LOG, encoding="utf-8")
    result = CliRunner().invoke(main, ["tune", str(example), "--devices", "50", "--truth", str(path)])
    assert f"Warning: {path}: no signal uses event 'visit' (1 time, first in line 5)" in result.stderr


def test_a_segment_with_the_name_of_a_signal_does_not_use_the_signal(survey: Survey, tmp_path: Path) -> None:
    """A log needs no column for a signal that no rule uses, even if a segment or a category has the same name."""
    signals = {**survey.resolved["signals"], "usd": {"sum": "purchase.usd", "days": 90}}  # type: ignore[dict-item]
    segments = [{"id": "usd", "when": "orders_90d > 0"}, {"id": "none"}]
    questions = [{"id": "buys", "segments": segments}, {"id": "kind", "one_of": "favourite", "categories": ["usd"]}]
    other = Survey.from_resolved({**survey.resolved, "signals": signals, "questions": questions})
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    assert Population.load(path, other).shares(other.question("buys")) == pytest.approx([2 / 3, 1 / 3])


def test_an_event_that_never_occurs_is_a_warning(survey: Survey, tmp_path: Path) -> None:
    signals = {**survey.resolved["signals"], "orders_90d": {"count": "refund", "days": 90}}  # type: ignore[dict-item]
    other = Survey.from_resolved({**survey.resolved, "signals": signals})
    path = tmp_path / "log.csv"
    path.write_text("device,day,event,amount,category\na,2026-10-01,purchase,3,x\n", encoding="utf-8")
    assert Population.load(path, other).warnings == (f"{path}: the event log has no event 'refund'",)


def test_a_population_describes_its_source(survey: Survey, tmp_path: Path) -> None:
    """The description names an assumed shape, and a crossed question whose shares do not add up to its parts."""
    cross = "the shares of frequency_x_returned do not add up to the shares of frequency and returned"
    from_shape = Population.from_shape("zipf:1").description(survey)
    assert from_shape == f"assumed shape zipf:1 for every question; {cross}"
    (tmp_path / "truth.json").write_text('{"frequency": {"none": 1}}', encoding="utf-8")
    partly = Population.load(tmp_path / "truth.json", survey).description(survey)
    assumed = "assumed shape zipf:1 for affinity, frequency_x_returned, basket"
    assert partly == f"{tmp_path / 'truth.json'}; {assumed}; {cross}"
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    assert Population.load(tmp_path / "log.csv", survey).description(survey) == str(tmp_path / "log.csv")


def test_a_category_may_look_like_a_number(survey: Survey, tmp_path: Path) -> None:
    text = "device,day,event,category\na,2026-10-01,purchase,7\n"
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    numbered = Survey.from_resolved(
        {
            **{key: one for key, one in survey.resolved.items() if key != "questions"},
            "questions": [{"id": "kind", "one_of": "favourite", "categories": ["7", "8"]}],
        }
    )
    shares = Population.load(tmp_path / "log.csv", numbered).shares(numbered.question("kind"))
    assert np.array_equal(shares, [1, 0, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frequenzy": {}}', "has no question 'frequenzy'; did you mean 'frequency'?"),
        ('{"frequency": {"nine": 1}}', "frequency has no segment 'nine'; did you mean 'none'?"),
        ('{"frequency": {"none": "x"}}', "the share of frequency: none must be a number from 0 to 1, got 'x'"),
        ('{"frequency": {"none": true}}', "the share of frequency: none must be a number from 0 to 1, got True"),
        ('{"frequency": {"none": NaN}}', "must be a number from 0 to 1, got nan"),
        ('{"frequency": {"none": 0.9}}', "the shares of frequency must sum to 1, got 0.9"),
        ('{"frequency": 1}', "frequency must be an object with a share for each segment, got 1"),
        ('{"frequency"', "invalid JSON: "),
        ('{"a": ' * 100_000, "invalid JSON: it is nested too deeply"),
        (f"question,segment,share\n{'x' * 200_000},a,1\n", "invalid CSV: field larger than field limit"),
        (
            "",
            "must be JSON, or a CSV file with the columns question, segment, share or device, day, event, ..."
            " (got an empty file)",
        ),
        ("a,b\n1,2\n", "(got a, b)"),
        (
            "question,segment,share\nfrequency,none,1\nfrequency,none,0.5\nfrequency,once,0.5\n",
            "line 3: the share of frequency: none is stated twice",
        ),
        (
            "question,segment,share\nfrequency\n",
            "line 2: segment is missing; a line needs a question, a segment and a share",
        ),
        (
            "question,segment,share\nfrequency,none\n",
            "line 2: share is missing; a line needs a question, a segment and a share",
        ),
        (
            "share,segment,question\n1,none\n",
            "line 2: question is missing; a line needs a question, a segment and a share",
        ),
        ("device,day,event\n", "the event log is empty"),
        (
            "device,day,event,amount,category\na,2026-10-01,purchase,3,x\na,2026-10-01,purchase,three,x\n",
            "line 3: amount must be a number from -10^12 to 10^12, because signal spend_90d adds it up; got 'three'",
        ),
        (
            "device,day,event,amount,category\na,2026-10-01,purchase,nan,x\n",
            "line 2: amount must be a number from -10^12 to 10^12, because signal spend_90d adds it up; got 'nan'",
        ),
        (
            "device,day,event,amount\na,2026-10-01,purchase,3\n",
            "the event log has no column 'category', which signal favourite needs",
        ),
        (
            "device,day,event,amount,category\na,2026-10-01,purchse,3,x\n",
            "the event log has no event 'purchase', which signal orders_90d needs; it has 'purchse' (line 2)",
        ),
        ("device,day,event\na,1.1.2026,purchase\n", "line 2: day must be a date like 2026-11-02, got '1.1.2026'"),
    ],
)
def test_the_error_of_a_wrong_file_is_one_line_that_starts_with_the_path(
    survey: Survey, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "truth"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SimulationError) as caught:
        Population.load(path, survey)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(survey: Survey, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="cannot be read: No such file"):
        Population.load(tmp_path / "missing", survey)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SimulationError, match="must be a UTF-8 text file"):
        Population.load(tmp_path / "binary", survey)
