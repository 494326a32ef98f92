"""Populations: shapes, files of shares, and logs that the survey's own rules make shares of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population, Shape

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
def test_shapes(words: str, shares: list[float]) -> None:
    assert Shape.parse(words).shares(4) == pytest.approx(shares)
    assert Shape.parse(str(Shape.parse(words))) == Shape.parse(words)


def test_shares_in_json_and_csv_are_the_same(survey: Survey, tmp_path: Path) -> None:
    """Segments left out have no share; questions left out have the shape."""
    stated = {"frequency": {"none": 0.7, "heavy": 0.3}}
    (tmp_path / "truth.json").write_text(json.dumps(stated), encoding="utf-8")
    (tmp_path / "truth.csv").write_text("question,segment,share\nfrequency,none,0.7\nfrequency,heavy,.3\n", "utf-8")
    for name in ("truth.json", "truth.csv"):
        population = Population.read(tmp_path / name, survey, "uniform")
        assert population.shares(survey.question("frequency")) == pytest.approx([0.7, 0, 0, 0.3])
        assert population.shares(survey.question("affinity")) == pytest.approx([0.25] * 4)


def test_rounded_shares_are_made_to_sum_to_one(survey: Survey, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"frequency": {"none": 0.333, "once": 0.333, "heavy": 0.333}}', encoding="utf-8")
    assert Population.read(path, survey).shares(survey.question("frequency")).sum() == pytest.approx(1)


def test_a_log_is_read_by_the_surveys_rules(survey: Survey, tmp_path: Path) -> None:
    """On the log's last day, 20 October: b's purchase is too old for a window of 90 days, c visited only."""
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    population = Population.read(path, survey)
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


def test_events_that_no_signal_is_about_are_counted(survey: Survey, example: Path, tmp_path: Path) -> None:
    """Other events may be in a log, but a misspelt one is among them."""
    path = tmp_path / "log.csv"
    path.write_text(f"{LOG}c,2026-10-19,purchsae,1,games\nc,2026-10-19,purchsae,1,games\n", encoding="utf-8")
    assert Population.read(path, survey).remarks == (
        f"{path}: no signal is about 2 x 'purchsae', first in line 7; was 'purchase' meant?",
        f"{path}: no signal is about 1 x 'visit', first in line 5",
    )
    others = "".join(f"c,2026-10-19,{letter * 3},,\n" for letter in "klmnoop")
    path.write_text(f"{LOG}{others}c,2026-10-19\n", encoding="utf-8")
    assert Population.read(path, survey).remarks[-1] == f"{path}: nor about 4 events of 3 other names"
    path.write_text(LOG + "".join(f"c,2026-10-19,{letter * 3},,\n" for letter in "klmno"), encoding="utf-8")
    assert Population.read(path, survey).remarks[-1] == f"{path}: nor about 1 event of 1 other name"
    path.write_text(LOG, encoding="utf-8")
    result = CliRunner().invoke(main, ["tune", str(example), "--devices", "50", "--truth", str(path)])
    assert f"Warning: {path}: no signal is about 1 x 'visit', first in line 5" in result.stderr


def test_a_segment_that_is_named_like_a_signal_is_no_use_of_it(survey: Survey, tmp_path: Path) -> None:
    """A log needs no column for a signal that no rule looks at, whatever segments and categories are called."""
    signals = {**survey.resolved["signals"], "usd": {"sum": "purchase.usd", "days": 90}}  # type: ignore[dict-item]
    segments = [{"id": "usd", "when": "orders_90d > 0"}, {"id": "none"}]
    questions = [{"id": "buys", "segments": segments}, {"id": "kind", "one_of": "favourite", "categories": ["usd"]}]
    other = Survey.from_resolved({**survey.resolved, "signals": signals, "questions": questions})
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    assert Population.read(path, other).shares(other.question("buys")) == pytest.approx([2 / 3, 1 / 3])


def test_an_event_that_never_came_is_remarked(survey: Survey, tmp_path: Path) -> None:
    signals = {**survey.resolved["signals"], "orders_90d": {"count": "refund", "days": 90}}  # type: ignore[dict-item]
    other = Survey.from_resolved({**survey.resolved, "signals": signals})
    path = tmp_path / "log.csv"
    path.write_text("device,day,event,amount,category\na,2026-10-01,purchase,3,x\n", encoding="utf-8")
    assert Population.read(path, other).remarks == (f"{path}: there is no event 'refund' in it",)


def test_a_population_says_where_it_comes_from(survey: Survey, tmp_path: Path) -> None:
    """An invented shape is called one, and so is a cross whose sums need not fit."""
    cross = "frequency_x_returned has shares of its own, which do not add up to those of frequency and returned"
    invented = Population.like("zipf:1").described(survey)
    assert invented == f"zipf:1 for every question, an invented shape; {cross}"
    (tmp_path / "truth.json").write_text('{"frequency": {"none": 1}}', encoding="utf-8")
    partly = Population.read(tmp_path / "truth.json", survey).described(survey)
    shaped = "zipf:1 for affinity, frequency_x_returned, basket, an invented shape"
    assert partly == f"{tmp_path / 'truth.json'}; {shaped}; {cross}"
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    assert Population.read(tmp_path / "log.csv", survey).described(survey) == str(tmp_path / "log.csv")


def test_a_number_for_a_name_stays_the_name_it_was(survey: Survey, tmp_path: Path) -> None:
    text = "device,day,event,category\na,2026-10-01,purchase,7\n"
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    numbered = Survey.from_resolved(
        {
            **{key: one for key, one in survey.resolved.items() if key != "questions"},
            "questions": [{"id": "kind", "one_of": "favourite", "categories": ["7", "8"]}],
        }
    )
    shares = Population.read(tmp_path / "log.csv", numbered).shares(numbered.question("kind"))
    assert np.array_equal(shares, [1, 0, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"frequenzy": {}}', "has no question 'frequenzy'; did you mean 'frequency'?"),
        ('{"frequency": {"nine": 1}}', "frequency has no segment 'nine'; did you mean 'none'?"),
        ('{"frequency": {"none": "x"}}', "the share of frequency: none must be a number from 0 to 1, got 'x'"),
        ('{"frequency": {"none": true}}', "the share of frequency: none must be a number from 0 to 1, got True"),
        ('{"frequency": {"none": NaN}}', "must be a number from 0 to 1, got nan"),
        ('{"frequency": {"none": 0.9}}', "the shares of frequency must sum to 1, got 0.9"),
        ('{"frequency": 1}', "frequency must be an object of segments and their shares, got 1"),
        ('{"frequency"', "is not JSON: "),
        ('{"a": ' * 100_000, "is not JSON that can be read: it is nested too deep"),
        (f"question,segment,share\n{'x' * 200_000},a,1\n", "is not CSV: field larger than field limit"),
        ("", "must be JSON, or CSV with the columns question, segment, share or device, day, event, ..., got nothing"),
        ("a,b\n1,2\n", "got a, b"),
        (
            "question,segment,share\nfrequency,none,1\nfrequency,none,0.5\nfrequency,once,0.5\n",
            "line 3: frequency: none is stated twice",
        ),
        ("question,segment,share\nfrequency\n", "line 2: must have a question, a segment and a share, got no segment"),
        (
            "question,segment,share\nfrequency,none\n",
            "line 2: must have a question, a segment and a share, got no share",
        ),
        ("share,segment,question\n1,none\n", "line 2: must have a question, a segment and a share, got no question"),
        ("device,day,event\n", "the log has no events"),
        (
            "device,day,event,amount,category\na,2026-10-01,purchase,3,x\na,2026-10-01,purchase,three,x\n",
            "line 3: amount must be a number within 10^12, as spend_90d sums it, got 'three'",
        ),
        (
            "device,day,event,amount,category\na,2026-10-01,purchase,nan,x\n",
            "line 2: amount must be a number within 10^12, as spend_90d sums it, got 'nan'",
        ),
        (
            "device,day,event,amount\na,2026-10-01,purchase,3\n",
            "the log has no column 'category', which favourite is about",
        ),
        (
            "device,day,event,amount,category\na,2026-10-01,purchse,3,x\n",
            "the log has no event 'purchase', which orders_90d is about, but 'purchse' (line 2)",
        ),
        ("device,day,event\na,1.1.2026,purchase\n", "line 2: day must be like 2026-11-02, got '1.1.2026'"),
    ],
)
def test_wrong_files_get_one_line_that_begins_with_the_path(
    survey: Survey, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "truth"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SimulationError) as caught:
        Population.read(path, survey)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(survey: Survey, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="cannot be read: No such file"):
        Population.read(tmp_path / "missing", survey)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SimulationError, match="is not a text file in UTF-8"):
        Population.read(tmp_path / "binary", survey)
