"""What `survey check` warns of: a mechanism named by hand that costs more than the automatic choice."""

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
    assert advice(Survey.parse(survey(mechanism))) == []


@pytest.mark.parametrize("name", ["direct", "sue", "oue"])
def test_a_costlier_mechanism_is_named_with_its_place_and_cost(name):
    """The line says which question, what it costs, and against what."""
    asked = Survey.parse(survey(f'"{name}"'))
    cost = build(name, {}, 16, 1.0).mean_variance() / build("auto", {}, 16, 1.0).mean_variance()
    assert advice(asked) == [
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
