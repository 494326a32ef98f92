"""What `survey check` warns of: devices that never answer, and mechanisms that cost more than the automatic one."""

from datetime import date

import pytest
from click.testing import CliRunner

from client_sdk.advice import advice
from client_sdk.mechanisms import build
from client_sdk.survey import Survey
from hushtally.cli import main
from hushtally.survey_cli import EXAMPLE_STARTS, example

SIXTEEN = ", ".join(f'"category-{number}"' for number in range(15))


def survey(mechanism: str) -> str:
    """The example with 16 categories, asked by this mechanism."""
    return example(EXAMPLE_STARTS).replace(
        'categories = ["books", "music", "games"]', f"categories = [{SIXTEEN}]\nmechanism = {mechanism}"
    )


RAPPOR = '{ name = "rappor", k = 16, h = 1, m = 4, f = 0.5, p = 0.5, q = 0.75 }'


@pytest.mark.parametrize("mechanism", ['"auto"', '"subset"', '{ name = "subset", w = 4 }'])
def test_the_best_mechanism_needs_no_advice(mechanism):
    """Nothing is said of the automatic choice, or of one named by hand that is as good."""
    assert advice(Survey.parse(survey(mechanism)), EXAMPLE_STARTS) == []


@pytest.mark.parametrize("name", ["direct", "sue", "oue"])
def test_a_costlier_mechanism_is_named_with_its_place_and_cost(name):
    """The line says which question, what it costs, and against what."""
    asked = Survey.parse(survey(f'"{name}"'))
    cost = build(name, {}, 16, 1.0).mean_variance() / build("auto", {}, 16, 1.0).mean_variance()
    assert advice(asked, EXAMPLE_STARTS) == [
        f"questions[2].mechanism: {name} costs {cost:.2f} times the variance of the automatic choice, subset:"
        " it needs as many times the devices"
    ]


def test_check_prints_the_advice_and_finds_the_survey_sound(tmp_path):
    """`hushtally survey check` warns on stderr and still exits with 0; rappor's cost is a lower bound."""
    path = tmp_path / "survey.toml"
    path.write_text(survey(RAPPOR))
    done = CliRunner().invoke(main, ["survey", "check", str(path)])
    assert done.exit_code == 0
    assert "is sound" in done.stdout
    assert f"Warning: {path}: questions[2].mechanism: rappor costs at least" in done.stderr


@pytest.mark.parametrize(
    ("today", "line"),
    [
        (date(2026, 11, 1), "starts: no device answers before 2026-11-02"),
        (date(2026, 11, 2), None),
        (date(2027, 5, 2), None),
        (date(2027, 5, 3), "ends: the survey was over on 2027-05-02: no device answers it any more"),
    ],
)
def test_a_survey_that_does_not_run_today_is_named(today, line):
    assert advice(Survey.parse(example(EXAMPLE_STARTS)), today) == ([line] if line else [])


@pytest.mark.parametrize(
    ("every", "ends", "says"),
    [
        (26, "2027-05-02", None),
        (27, "2027-05-02", "the survey has only 26 weeks: 1 of 27 devices never answer"),
        (4, "2026-11-08", "the survey has only 1 week: 3 of 4 devices never answer"),
    ],
)
def test_devices_whose_turn_never_comes_are_counted(every, ends, says):
    """A device answers in one epoch of `answers_every`, drawn at random: where there are fewer, some never do."""
    text = example(EXAMPLE_STARTS).replace("answers_every = 4", f"answers_every = {every}").replace("2027-05-02", ends)
    assert advice(Survey.parse(text), EXAMPLE_STARTS) == ([f"privacy.answers_every: {says}"] if says else [])
