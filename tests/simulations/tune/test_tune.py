"""The command `hushtally tune`, and the function behind it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from hushtally.aggregator.errors import ArgumentError
from hushtally.cli import main
from hushtally.client_sdk.explain.advice import advice
from hushtally.client_sdk.explain.belief import belief_bound, describe_belief
from hushtally.client_sdk.explain.disclosure import observer_conclusions
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.cli.number_format import margin, plus_minus
from hushtally.simulations.cli.text_table import print_text_table
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.population.shape import Shape
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.recommendation import Recommendation
from hushtally.simulations.tune.tables import tuning_tables
from hushtally.simulations.tune.tuning import GRID, tune
from progress_recorder import ProgressRecorder

ANYONE = Population(Shape("zipf", 1.0), {})
HIGH = 1_000.0  # a ceiling that no survey reaches
PERMANENT = 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 3'

RAPPOR = 'epsilon = 8.0\nmechanism = { name = "rappor", k = 8, h = 1, m = 2, f = 0.5, p = 0.25, q = 0.75 }'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tune", *arguments])


def test_the_smallest_epsilon_that_meets_the_target_is_recommended(example: Path) -> None:
    """Every smaller epsilon of the grid misses the target, and meets it with the devices that the forecast names."""
    found = tune(Definition.load(example), Constraints(500_000, ceiling=HIGH), ANYONE)
    assert found.recommended is not None
    assert found.reason.startswith(
        f"Epsilon {found.recommended:g} is recommended: the 95% interval of every segment is at most ±"
    )
    for epsilon, rows in found.forecasts.items():
        assert all(row.half_width <= 0.01 for row in rows) == (epsilon >= found.recommended)
    below = max(epsilon for epsilon in GRID if epsilon < found.recommended)
    needed = max(row.devices_for_target for row in found.forecasts[below])
    enough = tune(Definition.load(example), Constraints(needed, ceiling=HIGH), ANYONE)
    assert enough.recommended is not None
    assert enough.recommended <= below


@pytest.mark.parametrize(
    ("devices", "suggested"),
    [
        (
            500_000,
            'each of these changes is enough: epoch = "month" with answers_every = 1; 1 question instead of 4.'
            " With more devices, these also meet the target: no change (2,000,000 devices); 4 segments in"
            " frequency_x_returned instead of 8 (1,800,000 devices).",
        ),
        (
            150_000,
            'no single change is enough, but these two together are: epoch = "month" with answers_every = 1 and 1'
            " question instead of 4. With more devices, these also meet the target: no change (2,000,000 devices);"
            ' epoch = "month" with answers_every = 1 (500,000 devices); 1 question instead of 4 (500,000 devices);'
            " 4 segments in frequency_x_returned instead of 8 (1,800,000 devices).",
        ),
        (
            50_000,
            "no change and no pair of changes is enough. With more devices, these also meet the target: no change",
        ),
    ],
)
def test_the_reason_names_changes_that_are_enough_and_those_that_need_more_devices(
    example: Path, devices: int, suggested: str
) -> None:
    """First the single changes or the pair that is enough, then the devices that each of the others needs."""
    found = tune(Definition.load(example), Constraints(devices), ANYONE, [1.0])
    assert found.recommended is None
    assert f" At epsilon 1, {suggested}" in found.reason


def test_a_single_sufficient_change_is_named_in_the_singular(example: Path) -> None:
    definition = Definition.load(example)
    alone = Definition({**definition.table, "questions": definition.table["questions"][:1]})
    found = tune(alone, Constraints(120_000), ANYONE, [1.0])
    assert 'At epsilon 1, this change is enough: epoch = "month" with answers_every = 1. With more' in found.reason


def test_the_suggested_pair_of_changes_meets_the_target(example: Path) -> None:
    """With both changes made in the survey, the named devices meet the target and 10% fewer devices do not."""
    definition = Definition.load(example)
    [pair] = [one for one in tune(definition, Constraints(150_000), ANYONE, [1.0]).suggestions if len(one.changes) == 2]
    kept = ("frequency", "returned", "frequency_x_returned")
    questions = [one for one in definition.table["questions"] if one["id"] in kept]
    questions[0] = {**questions[0], "only_crossed": True}
    privacy = {**definition.table["privacy"], "answers_every": 1}
    both = Definition({**definition.table, "questions": questions, "privacy": privacy})
    assert tune(both, Constraints(pair.devices, ceiling=HIGH), ANYONE, [1.0]).recommended == 1.0
    assert tune(both, Constraints(pair.devices * 9 // 10, ceiling=HIGH), ANYONE, [1.0]).recommended is None


def test_a_suggestion_meets_the_target_with_its_devices(example: Path) -> None:
    """With fewer questions in the survey, the named devices meet the target and 10% fewer devices do not."""
    definition = Definition.load(example)
    found = tune(definition, Constraints(50_000), ANYONE)
    devices = {str(suggestion): suggestion.devices for suggestion in found.suggestions}
    fewer = [
        one for one in definition.table["questions"] if one["id"] in ("frequency", "returned", "frequency_x_returned")
    ]
    fewer[0] = {**fewer[0], "only_crossed": True}
    one_question = Definition({**definition.table, "questions": fewer})
    needed = devices["1 question instead of 4"]
    assert tune(one_question, Constraints(needed), ANYONE, [1.0]).recommended == 1.0
    assert tune(one_question, Constraints(needed * 9 // 10), ANYONE, [1.0]).recommended is None


def test_longer_epochs_allow_a_larger_epsilon_if_devices_answer_every_epoch(example: Path) -> None:
    """Four times the epsilon in a quarter of the answers: the named devices meet the target."""
    text = example.read_text(encoding="utf-8").replace("answers_every = 4", "answers_every = 1")
    definition = Definition.parse(text)
    found = tune(definition, Constraints(20_000), ANYONE, [0.5, 1.0])
    [suggestion] = [one for one in found.suggestions if str(one).startswith("epoch") and len(one.changes) == 1]
    assert str(suggestion) == 'epoch = "month" with epsilon 4 (no higher lifetime epsilon)'
    assert tune(definition, Constraints(suggestion.devices, ceiling=HIGH), ANYONE, [4.0]).recommended == 4.0
    assert tune(definition, Constraints(suggestion.devices * 9 // 10, ceiling=HIGH), ANYONE, [4.0]).recommended is None


def test_reports_follow_from_devices_participation_questions_and_epochs(example: Path) -> None:
    """50,000 devices, 60% participation, one of four questions, every fourth week: 1,875 reports a week."""
    found = tune(Definition.load(example), Constraints(50_000, participation=0.6), ANYONE, [1.0])
    assert {row.reports for row in found.forecasts[1.0]} == {1_875}


def test_the_lifetime_epsilon_grows_with_the_epochs_up_to_the_surveys_own(example: Path) -> None:
    survey = Survey.load(example)
    definition = Definition.load(example)
    lifetimes = [
        tune(definition, Constraints(50_000, epochs=epochs), ANYONE, [1.0]).forecasts[1.0][0].lifetime_epsilon
        for epochs in (1, 4, 5, 26, 27)
    ]
    assert lifetimes == [1, 1, 2, survey.lifetime_epsilon, survey.lifetime_epsilon]


def test_a_lifetime_epsilon_of_some_epochs_is_labelled_everywhere(example: Path) -> None:
    """With 4 of 26 weeks, every kind of memory counts the answers of 4 weeks, and every heading says so."""
    found = tune(Definition.load(example), Constraints(500_000, epochs=4), ANYONE, [2.5])
    assert (found.period, found.recommended) == ("in 4 weeks", 2.5)
    assert "A device reveals at most epsilon 2.5 in 4 weeks." in found.reason
    lasting, *fresh = sorted((rows[0] for rows in found.alternatives), key=lambda row: row.memory != "permanent")
    assert [row.lifetime_epsilon for row in fresh] == [2.5 * answers for answers in (4, 2, 1, 1, 1, 1)]
    assert fresh[0].protects == "everything the customer did, in all 4 answers together"
    assert fresh[2].protects == "everything the customer did, in the only answer"
    assert lasting.lifetime_epsilon == 4 * 5
    for table in (tuning_tables(found)[0], tuning_tables(found)[-1]):
        assert "in 4 weeks" in table.columns
    assert Constraints(5, epochs=1).period(Survey.load(example)) == "in 1 week"
    assert Constraints(5, epochs=26).period(Survey.load(example)) == "over the whole survey"
    none = tune(Definition.load(example), Constraints(500_000, epochs=4, ceiling=0.1), ANYONE)
    assert "is within the ceiling of 0.1 in 4 weeks: the smallest, 0.25, reveals up to 0.25" in none.reason


def test_the_footnote_names_the_permanent_memory_that_is_assumed(example: Path) -> None:
    found = tune(Definition.load(example), Constraints(50_000), ANYONE, [1.0])
    memory = "permanent: epsilon_permanent = 2 and changes = 3"
    assert tuning_tables(found)[-1].footnote == f"{memory} (assumed, not set in the survey)"
    text = example.read_text(encoding="utf-8").replace('memory = "fresh"', PERMANENT)
    own = tune(Definition.parse(text), Constraints(50_000), ANYONE, [1.0])
    assert tuning_tables(own)[-1].footnote == memory


def test_margins_of_error_above_100_points_are_not_printed_in_full() -> None:
    """An interval of more than 100 points on each side contains no information."""
    assert (plus_minus(0.0123), plus_minus(0.5), plus_minus(3.7)) == ("±1.23", "±50.0", "over ±100")
    assert (counted(0, "report"), counted(1, "report"), counted(1_000, "report")) == (
        "0 reports",
        "1 report",
        "1,000 reports",
    )
    assert (margin(0.01), margin(0.0251), margin(3.7)) == ("±1 point", "±2.5 points", "more than ±100 points")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_narrow_terminal_wraps_text_and_cuts_no_figure(example: Path, width: int) -> None:
    out = Console(width=width, force_terminal=True, color_system=None, highlight=False, file=io.StringIO())
    found = tune(Definition.load(example), Constraints(50_000), ANYONE)
    for table in tuning_tables(found):
        print_text_table(table, out)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\u2026" not in text
    for rows in found.forecasts.values():
        assert all(f" {row.devices_for_target:,} " in text for row in rows)
    assert "devices needed" in text
    if width == 80:
        assert max(map(len, text.splitlines())) <= 80


def test_the_recommended_epsilon_is_within_the_ceiling(example: Path) -> None:
    demand = Constraints(500_000, ceiling=10.0)
    found = tune(Definition.load(example), demand, ANYONE)
    assert found.recommended is None
    assert (
        "No epsilon within the ceiling of 10 meets the target of ±1 point with 500,000 devices: at epsilon 1.25, the"
        in found.reason
    )
    assert "With a ceiling of 17.5, epsilon 2.5 meets the target." in found.reason
    none = tune(Definition.load(example), Constraints(500_000, ceiling=0.1), ANYONE)
    assert none.reason == (
        "No evaluated epsilon is within the ceiling of 0.1 over the whole survey: the smallest, 0.25, reveals up to"
        " 1.75. To reveal less, pass a smaller --epsilon or answer less often (raise answers_every, or shorten the"
        " survey). With a ceiling of 17.5, epsilon 2.5 meets the target."
    )
    least = tune(Definition.load(example), Constraints(500_000, ceiling=0.01), ANYONE, [0.01])
    advice = "To reveal less, answer less often (raise answers_every, or shorten the survey)."
    assert least.reason.endswith(f"reveals up to 0.07. {advice}")


def test_an_epsilon_that_survey_check_warns_about_needs_a_higher_ceiling(example: Path) -> None:
    """Epsilon 2.5 meets the target, but not the default ceiling. With a higher one, the reason names the warning."""
    definition = Definition.load(example)
    cautious = tune(definition, Constraints(500_000), ANYONE)
    assert cautious.recommended is None
    assert (
        "No epsilon within the ceiling of 8 meets the target of ±1 point with 500,000 devices: at epsilon 1, the"
        in cautious.reason
    )
    assert "With a ceiling of 17.5, epsilon 2.5 meets the target." in cautious.reason
    warning = "`hushtally survey check` warns above epsilon 8: the whole survey reveals up to 17.5."
    for bold in (Constraints(500_000, ceiling=17.5), Constraints(500_000, epochs=4)):
        found = tune(definition, bold, ANYONE)
        assert found.recommended == 2.5
        assert found.reason.endswith(f" {warning}")
        assert advice(definition.at(2.5), definition.survey.starts)
    fine = tune(definition, Constraints(500_000, target=0.05), ANYONE)
    assert fine.recommended is not None
    assert "warns" not in fine.reason
    assert not advice(definition.at(fine.recommended), definition.survey.starts)


def test_a_smaller_epsilon_does_not_help_permanent_memory_above_the_ceiling(example: Path) -> None:
    """Its lifetime epsilon depends on epsilon_permanent and on the changes, and not on epsilon."""
    lasting = PERMANENT.replace("2.0", "3.0")
    definition = Definition.parse(example.read_text(encoding="utf-8").replace('memory = "fresh"', lasting))
    assert tune(definition, Constraints(500_000, target=0.05), ANYONE).reason == (
        "No epsilon is within the ceiling of 8 over the whole survey: permanent memory reveals up to 12 at every"
        " epsilon. To reveal less, lower epsilon_permanent or follow fewer changes. With a ceiling of 12, epsilon 0.5"
        " meets the target."
    )


def test_an_epsilon_that_reveals_exactly_the_ceiling_is_allowed(example: Path) -> None:
    """Rounding of the lifetime epsilon does not matter: seven answers at epsilon 0.1 are within a ceiling of 0.7."""
    constraints = Constraints(500_000, ceiling=0.7)
    found = tune(Definition.load(example), constraints, ANYONE, grid=[0.1, 0.2])
    assert found.forecasts[0.1][0].lifetime_epsilon > 0.7
    assert Recommendation({}, found.forecasts, constraints).allowed == [0.1]


@pytest.mark.parametrize("ceiling", [0.0, float("nan"), float("inf")])
def test_a_ceiling_must_be_a_finite_number(ceiling: float) -> None:
    with pytest.raises(ArgumentError, match=f"ceiling must be at least 0.01 and finite, got {ceiling:g}"):
        Constraints(1, ceiling=ceiling)


def test_the_reason_says_what_permanent_memory_does_not_protect(example: Path) -> None:
    """Its lifetime epsilon covers the answers only; one change is in the singular."""
    lasting = PERMANENT.replace("changes = 3", "changes = 1")
    definition = Definition.parse(example.read_text(encoding="utf-8").replace('memory = "fresh"', lasting))
    found = tune(definition, Constraints(500_000, target=0.05), ANYONE)
    assert (
        "A device reveals at most epsilon 4 over the whole survey. This bound covers the answers, but not whether or"
        " when an answer changed." in found.reason
    )
    assert found.forecasts[1.0][0].protects.startswith("the answers, with up to 1 change; not whether or when")


def test_kinds_of_memory_and_values_of_answers_every_are_compared(example: Path) -> None:
    """With an answer every fourth week, a quarter of the reports arrive for about a quarter of the lifetime epsilon."""
    found = tune(Definition.load(example), Constraints(50_000), ANYONE)
    kinds = [(rows[0].memory, rows[0].answers_every) for rows in found.alternatives]
    assert kinds == [*(("fresh", every) for every in (1, 2, 4, 8, 13, 26)), ("permanent", 1)]
    fresh, permanent = found.alternatives[0][0], found.alternatives[-1][0]
    assert fresh.protects == "everything the customer did, in all 26 answers together"
    assert "not whether or when an answer changed" in permanent.protects
    assert (fresh.lifetime_epsilon, permanent.lifetime_epsilon) == (26, 8)
    assert fresh.reports == 4 * found.alternatives[2][0].reports


def test_the_permanent_memory_of_the_survey_is_kept(example: Path) -> None:
    """Its epsilon_permanent is a promise: every epsilon above it is skipped, and the table says so."""
    text = example.read_text(encoding="utf-8").replace('memory = "fresh"', PERMANENT)
    found = tune(Definition.parse(text), Constraints(50_000), ANYONE, [1.0, 2.0, 2.5, 3.0])
    assert {epsilon: rows[0].lifetime_epsilon for epsilon, rows in found.forecasts.items()} == {1.0: 8, 2.0: 8}
    assert tuning_tables(found)[0].footnote == (
        "skipped: 2.5, 3; epsilon 2.5 is above privacy.epsilon_permanent = 2; raise epsilon_permanent in the survey, or"
        " pass a smaller --epsilon"
    )
    assert tuning_tables(tune(Definition.load(example), Constraints(50_000), ANYONE))[0].footnote == ""


def test_an_epsilon_that_a_question_does_not_allow_is_skipped(example: Path) -> None:
    """In this survey, one question sets its own epsilon_permanent."""
    text = example.read_text(encoding="utf-8").replace('id = "basket"', 'id = "basket"\nepsilon_permanent = 1.5')
    found = tune(
        Definition.parse(text.replace('memory = "fresh"', PERMANENT)), Constraints(50_000), ANYONE, [1.0, 1.75]
    )
    assert found.skipped.keys() == {1.75}
    assert "epsilon_permanent: must be at least epsilon = 1.75, got 1.5" in found.skipped[1.75]
    with pytest.raises(SimulationError, match="the grid has no epsilon"):
        tune(Definition.load(example), Constraints(50_000), ANYONE, [])


def test_every_part_shows_progress(example: Path) -> None:
    """The bars take as many steps as announced; the steps of the search are not known beforehand."""
    bars = ProgressRecorder()
    tune(Definition.load(example), Constraints(50_000), ANYONE, progress=bars)
    assert [description for description, _, _ in bars.shown] == [
        "Forecasting the accuracy of each epsilon",
        "Searching for changes that meet the target",
        "Comparing kinds of memory",
    ]
    assert [steps for _, steps, _ in bars.shown] == [len(GRID), None, 7]
    assert [taken for _, _, taken in bars.shown] == [len(GRID), 0, 7]


def test_a_question_with_its_own_epsilon_keeps_it(example: Path) -> None:
    text = example.read_text(encoding="utf-8").replace('id = "basket"', 'id = "basket"\nepsilon = 2.0')
    found = tune(Definition.parse(text), Constraints(50_000), ANYONE, [0.5, 1.0])
    for epsilon, rows in found.forecasts.items():
        assert [row.question_epsilon for row in rows] == [epsilon] * 3 + [2.0]


def test_beliefs_agree_with_survey_explain(example: Path) -> None:
    """The tables and `survey explain` show the same beliefs, rounded up."""
    survey = Definition.load(example).survey
    [explained] = [line for line in observer_conclusions(survey) if line.startswith("If 10% of customers")]
    one, every = (describe_belief(belief_bound(0.1, epsilon)) for epsilon in (1.0, survey.lifetime_epsilon))
    assert every in explained
    lines = run(str(example), "--devices", "50000", "--epsilon", "1", "--target", "0.2").stdout.splitlines()
    assert lines[0].endswith(f"was 10% sure of something about the customer can then be {every}.")
    assert [f"at most {cell} sure" for cell in lines[4].split()[-2:]] == [one, every]
    revealing = run(str(example), "--devices", "50000", "--epsilon", "4", "--target", "0.2", "--ceiling", "28").stdout
    assert "practically certain." in revealing.splitlines()[0]
    assert "over 99.99%" in revealing.splitlines()[4]


def test_an_unpublished_question_misses_the_target(example: Path) -> None:
    """At epsilon 4, forty reports are accurate enough for a target of 20 points, but fewer than min_reports."""
    found = tune(Definition.load(example), Constraints(700, target=0.2), ANYONE)
    assert found.recommended is None
    assert "too few to be published (min_reports = " in found.reason
    assert " has 1 report, too few" in tune(Definition.load(example), Constraints(16), ANYONE).reason


def test_the_recommendation_comes_first_and_then_the_tables(example: Path) -> None:
    result = run(str(example), "--devices", "500000", "--ceiling", "17.5")
    assert result.exit_code == 0, result.output
    recommendation, _, rest = result.output.partition("\n\n")
    assert recommendation.startswith(
        "Epsilon 2.5 is recommended: the 95% interval of every segment is at most ±0.84 points each week. Epsilon 2"
        " would need 560,000 devices. A"
    )
    assert "\n" not in recommendation, "in a pipe, no sentence is wrapped"
    assert rest.startswith("epsilon ")
    assert "memory and answers_every" in result.output


def test_json_and_csv_have_the_same_rows(example: Path) -> None:
    rows = json.loads(run(str(example), "--devices", "50000", "--format", "json").stdout)
    lines = list(csv.DictReader(io.StringIO(run(str(example), "--devices", "50000", "--format", "csv").stdout)))
    assert len(rows) == len(lines) == 4 * (len(GRID) + 7)
    assert list(rows[0]) == list(lines[0])
    assert [row["half_width"] for row in rows] == [float(line["half_width"]) for line in lines]
    assert rows[0]["half_widths"].keys() == {"none", "once", "regular", "heavy"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.toml", "--devices", "5"], "missing.toml: cannot be read: No such file or directory"),
        (["EXAMPLE", "--devices", "0"], "Invalid value for '--devices'"),
        (["EXAMPLE", "--devices", "3"], "must be more than 3: fewer than one report is expected per question"),
        (
            ["EXAMPLE", "--devices", "50", "--like", "zip"],
            "'--like': 'zip' is not a shape (uniform, zipf:S, geometric:R)",
        ),
        (["EXAMPLE", "--devices", "50", "--like", "zipf:x"], "the parameter of zipf must be a number, got 'x'"),
        (["EXAMPLE", "--devices", "50", "--like", "geometric:2"], "the parameter of geometric must be above 0 and at"),
        (["EXAMPLE", "--devices", "50", "--epsilon", "80"], "Invalid value for '--epsilon'"),
        (
            ["RAPPOR", "--devices", "5000"],
            "cannot forecast the accuracy of rappor (basket); run `hushtally simulate` instead",
        ),
        (["EXAMPLE", "--devices", "1.5"], "'1.5' is not a whole number; write it like 100000, 100,000 or 1e5"),
        (["EXAMPLE", "--devices", "1e999"], "'1e999' is not a whole number"),
        (["EXAMPLE", "--devices", "1,00"], "'1,00' is not a whole number"),
        (["EXAMPLE", "--devices", "many"], "'many' is not a whole number"),
        (["EXAMPLE", "--devices", "50", "--target", "3pt"], "'3pt' is not a share; write it like 0.03 or 3%"),
        (["EXAMPLE", "--devices", "50", "--target", "300%"], "300% is more than 100%; write 3% or 0.03"),
        (["EXAMPLE", "--devices", "50", "--target", "3"], "3 is more than 100%; write 3% or 0.03"),
        (["EXAMPLE", "--devices", "50", "--target", "0"], "0.0 is not in the range 0<x<1"),
        (["EXAMPLE", "--devices", "50", "--target", "nan"], "'nan' is not a share; write it like 0.03 or 3%"),
        (["EXAMPLE", "--devices", "50", "--participation", "60"], "60 is more than 100%; write 60% or 0.6"),
        (["EXAMPLE", "--devices", "1000000001"], "Invalid value for '--devices'"),
        (["EXAMPLE"], "Missing option '--devices'"),
    ],
)
def test_a_mistake_is_one_clear_line(example: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    rappor = tmp_path / "rappor.toml"
    rappor.write_text(example.read_text(encoding="utf-8").replace('id = "basket"', f'id = "basket"\n{RAPPOR}'), "utf-8")
    files = {"EXAMPLE": str(example), "RAPPOR": str(rappor)}
    result = run(*(files.get(one, one) for one in arguments))
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output
