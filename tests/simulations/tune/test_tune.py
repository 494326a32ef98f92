"""`hushtally tune` as people run it, and the function behind it."""

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
from hushtally.simulations.cli.number_format import half, points
from hushtally.simulations.cli.text_table import print_sheet
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population, Shape
from hushtally.simulations.tune.forecast import Demand
from hushtally.simulations.tune.tables import tuning_sheets
from hushtally.simulations.tune.tuning import GRID, tune

ANYONE = Population(Shape("zipf", 1.0), {})
HIGH = 1_000.0  # a ceiling that no survey reaches
PERMANENT = 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 3'

RAPPOR = 'epsilon = 8.0\nmechanism = { name = "rappor", k = 8, h = 1, m = 2, f = 0.5, p = 0.25, q = 0.75 }'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tune", *arguments])


def test_recommends_the_least_epsilon_that_meets_the_target(example: Path) -> None:
    """Every smaller epsilon of the grid misses it, and the devices that it would need meet it."""
    found = tune(Definition.load(example), Demand(500_000, ceiling=HIGH), ANYONE)
    assert found.recommended is not None
    assert found.reason.startswith(f"epsilon {found.recommended:g}: each segment's 95% interval reaches at most ")
    for epsilon, rows in found.outlooks.items():
        assert all(row.half_width <= 0.01 for row in rows) == (epsilon >= found.recommended)
    below = max(epsilon for epsilon in GRID if epsilon < found.recommended)
    needed = max(row.devices_for_target for row in found.outlooks[below])
    enough = tune(Definition.load(example), Demand(needed, ceiling=HIGH), ANYONE)
    assert enough.recommended is not None
    assert enough.recommended <= below


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (
            500_000,
            'each of these is enough: epoch = "month" with answers_every = 1; asking 1 question instead of 4. With more'
            " devices: as it is (2,000,000); 4 segments in frequency_x_returned instead of 8 (1,800,000).",
        ),
        (
            150_000,
            'no change by itself is enough, but two are: epoch = "month" with answers_every = 1 and asking 1 question'
            ' instead of 4. With more devices: as it is (2,000,000); epoch = "month" with answers_every = 1 (500,000);'
            " asking 1 question instead of 4 (500,000); 4 segments in frequency_x_returned instead of 8 (1,800,000).",
        ),
        (
            50_000,
            'no change is enough, nor are any two. With more devices: as it is (2,000,000); epoch = "month" with',
        ),
    ],
)
def test_says_what_is_enough_with_the_devices_at_hand_and_what_with_more(
    example: Path, devices: int, said: str
) -> None:
    """First what is enough by itself, or which two changes are; then how many devices each of the others needs."""
    found = tune(Definition.load(example), Demand(devices), ANYONE, [1.0])
    assert found.recommended is None
    assert f" At epsilon 1 {said}" in found.reason


def test_what_one_change_alone_does_is_not_a_list(example: Path) -> None:
    definition = Definition.load(example)
    alone = Definition({**definition.table, "questions": definition.table["questions"][:1]})
    found = tune(alone, Demand(120_000), ANYONE, [1.0])
    assert 'At epsilon 1 this is enough: epoch = "month" with answers_every = 1. With more devices' in found.reason


def test_two_changes_that_are_enough_are(example: Path) -> None:
    """Made in the file: the pair that is named meets the target, a tenth fewer devices than it needs do not."""
    definition = Definition.load(example)
    [pair] = [one for one in tune(definition, Demand(150_000), ANYONE, [1.0]).remedies if len(one.changes) == 2]
    kept = ("frequency", "returned", "frequency_x_returned")
    questions = [one for one in definition.table["questions"] if one["id"] in kept]
    questions[0] = {**questions[0], "only_crossed": True}
    privacy = {**definition.table["privacy"], "answers_every": 1}
    both = Definition({**definition.table, "questions": questions, "privacy": privacy})
    assert tune(both, Demand(pair.devices, ceiling=HIGH), ANYONE, [1.0]).recommended == 1.0
    assert tune(both, Demand(pair.devices * 9 // 10, ceiling=HIGH), ANYONE, [1.0]).recommended is None


def test_each_remedy_with_its_devices_meets_the_target(example: Path) -> None:
    """Fewer questions and longer epochs, made in the file: the devices named suffice, a tenth less does not."""
    definition = Definition.load(example)
    found = tune(definition, Demand(50_000), ANYONE)
    devices = {str(remedy): remedy.devices for remedy in found.remedies}
    fewer = [
        one for one in definition.table["questions"] if one["id"] in ("frequency", "returned", "frequency_x_returned")
    ]
    fewer[0] = {**fewer[0], "only_crossed": True}
    one_question = Definition({**definition.table, "questions": fewer})
    needed = devices["asking 1 question instead of 4"]
    assert tune(one_question, Demand(needed), ANYONE, [1.0]).recommended == 1.0
    assert tune(one_question, Demand(needed * 9 // 10), ANYONE, [1.0]).recommended is None


def test_where_devices_answer_every_epoch_longer_ones_allow_a_larger_epsilon(example: Path) -> None:
    """Four times the epsilon in a quarter of the answers: the devices named meet the target with it."""
    text = example.read_text(encoding="utf-8").replace("answers_every = 4", "answers_every = 1")
    definition = Definition.parse(text)
    found = tune(definition, Demand(20_000), ANYONE, [0.5, 1.0])
    [remedy] = [one for one in found.remedies if str(one).startswith("epoch") and len(one.changes) == 1]
    assert str(remedy) == 'epoch = "month" with epsilon 4, which reveals no more in all'
    assert tune(definition, Demand(remedy.devices, ceiling=HIGH), ANYONE, [4.0]).recommended == 4.0
    assert tune(definition, Demand(remedy.devices * 9 // 10, ceiling=HIGH), ANYONE, [4.0]).recommended is None


def test_reports_follow_from_devices_participation_questions_and_epochs(example: Path) -> None:
    """50,000 devices, six in ten take part, one of four questions, every fourth week: 1,875 reports a week."""
    found = tune(Definition.load(example), Demand(50_000, participation=0.6), ANYONE, [1.0])
    assert {row.reports for row in found.outlooks[1.0]} == {1_875}


def test_the_lifetime_is_the_surveys_own_and_grows_with_the_epochs(example: Path) -> None:
    survey = Survey.load(example)
    definition = Definition.load(example)
    lifetimes = [
        tune(definition, Demand(50_000, epochs=epochs), ANYONE, [1.0]).outlooks[1.0][0].lifetime_epsilon
        for epochs in (1, 4, 5, 26, 27)
    ]
    assert lifetimes == [1, 1, 2, survey.lifetime_epsilon, survey.lifetime_epsilon]


def test_what_is_counted_in_some_epochs_says_so_everywhere(example: Path) -> None:
    """4 of 26 weeks: every kind of memory counts the answers of 4, and no word says "in all" of them."""
    found = tune(Definition.load(example), Demand(500_000, epochs=4), ANYONE, [2.5])
    assert (found.span, found.recommended) == ("in 4 weeks", 2.5)
    assert "A device reveals at most epsilon 2.5 in 4 weeks" in found.reason
    lasting, *fresh = sorted((rows[0] for rows in found.alternatives), key=lambda row: row.memory != "permanent")
    assert [row.lifetime_epsilon for row in fresh] == [2.5 * answers for answers in (4, 2, 1, 1, 1, 1)]
    assert fresh[0].protects == "whatever the customer did, in all 4 answers together"
    assert fresh[2].protects == "whatever the customer did, in the one answer"
    assert lasting.lifetime_epsilon == 4 * 5
    for sheet in (tuning_sheets(found)[0], tuning_sheets(found)[-1]):
        assert "in 4 weeks" in sheet.columns
    assert Demand(5, epochs=1).span(Survey.load(example)) == "in 1 week"
    assert Demand(5, epochs=26).span(Survey.load(example)) == "in all"
    none = tune(Definition.load(example), Demand(500_000, epochs=4, ceiling=0.1), ANYONE)
    assert "stays within 0.1 in 4 weeks: 0.25, the smallest, reveals up to 0.25" in none.reason


def test_what_the_permanent_row_supposes_is_said(example: Path) -> None:
    found = tune(Definition.load(example), Demand(50_000), ANYONE, [1.0])
    supposed = "permanent: with epsilon_permanent = 2 and changes = 3"
    assert tuning_sheets(found)[-1].remark == f"{supposed}, supposed: the survey names neither"
    text = example.read_text(encoding="utf-8").replace('memory = "fresh"', PERMANENT)
    own = tune(Definition.parse(text), Demand(50_000), ANYONE, [1.0])
    assert tuning_sheets(own)[-1].remark == supposed


def test_absurd_accuracies_are_not_spelt_out() -> None:
    """Beyond 100 points an interval tells nothing, whatever its length."""
    assert (half(0.0123), half(0.5), half(3.7)) == ("±1.23", "±50.0", "over ±100")
    assert (counted(0, "report"), counted(1, "report"), counted(1_000, "report")) == (
        "0 reports",
        "1 report",
        "1,000 reports",
    )
    assert (points(0.01), points(0.0251), points(3.7)) == ("1 point", "2.5 points", "more than 100 points")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_narrow_terminal_wraps_words_and_cuts_no_figure(example: Path, width: int) -> None:
    out = Console(width=width, force_terminal=True, color_system=None, highlight=False, file=io.StringIO())
    found = tune(Definition.load(example), Demand(50_000), ANYONE)
    for sheet in tuning_sheets(found):
        print_sheet(sheet, out)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\u2026" not in text
    for rows in found.outlooks.values():
        assert all(f" {row.devices_for_target:,} " in text for row in rows)
    assert "devices needed" in text
    if width == 80:
        assert max(map(len, text.splitlines())) <= 80


def test_a_ceiling_bounds_what_is_recommended(example: Path) -> None:
    demand = Demand(500_000, ceiling=10.0)
    found = tune(Definition.load(example), demand, ANYONE)
    assert found.recommended is None
    assert "no epsilon up to 1.25, the largest below a ceiling of 10, meets 1 point" in found.reason
    assert "A ceiling of 17.5 would allow epsilon 2.5, which is enough." in found.reason
    none = tune(Definition.load(example), Demand(500_000, ceiling=0.1), ANYONE)
    assert none.reason == (
        "no epsilon that was looked at stays within 0.1 in all: 0.25, the smallest, reveals up to 1.75; name smaller"
        " ones with --epsilon or answer less often (raise answers_every, or shorten the survey). A ceiling of 17.5"
        " would allow epsilon 2.5, which is enough."
    )
    least = tune(Definition.load(example), Demand(500_000, ceiling=0.01), ANYONE, [0.01])
    assert least.reason.endswith("reveals up to 0.07; answer less often (raise answers_every, or shorten the survey).")


def test_nothing_that_survey_check_warns_of_is_recommended_unasked(example: Path) -> None:
    """2.5 would be accurate, but tells more in all; with such a ceiling it is recommended, and the warning is named."""
    definition = Definition.load(example)
    cautious = tune(definition, Demand(500_000), ANYONE)
    assert cautious.recommended is None
    assert "no epsilon up to 1, the largest below a ceiling of 8, meets 1 point" in cautious.reason
    assert "A ceiling of 17.5 would allow epsilon 2.5, which is enough." in cautious.reason
    warning = "`hushtally survey check` warns of more than 8: the whole survey reveals up to 17.5."
    for bold in (Demand(500_000, ceiling=17.5), Demand(500_000, epochs=4)):
        found = tune(definition, bold, ANYONE)
        assert found.recommended == 2.5
        assert found.reason.endswith(f" {warning}")
        assert advice(definition.at(2.5), definition.survey.starts)
    fine = tune(definition, Demand(500_000, target=0.05), ANYONE)
    assert fine.recommended is not None
    assert "warns" not in fine.reason
    assert not advice(definition.at(fine.recommended), definition.survey.starts)


def test_permanent_memory_above_the_ceiling_is_not_cured_by_a_smaller_epsilon(example: Path) -> None:
    """What it reveals does not depend on epsilon: epsilon_permanent does it, or fewer changes."""
    lasting = PERMANENT.replace("2.0", "3.0")
    definition = Definition.parse(example.read_text(encoding="utf-8").replace('memory = "fresh"', lasting))
    assert tune(definition, Demand(500_000, target=0.05), ANYONE).reason == (
        "no epsilon stays within 8 in all: permanent memory reveals up to 12 whatever it is; lower epsilon_permanent or"
        " follow fewer changes. A ceiling of 12 would allow epsilon 0.5, which is enough."
    )


def test_an_epsilon_that_reveals_exactly_the_ceiling_is_allowed(example: Path) -> None:
    """Also if its lifetime epsilon is rounded up: seven answers at epsilon 0.1."""
    demand = Demand(500_000, ceiling=0.7)
    found = tune(Definition.load(example), demand, ANYONE, grid=[0.1, 0.2])
    assert found.outlooks[0.1][0].lifetime_epsilon > 0.7
    assert demand.allowed(found.outlooks[0.1])
    assert not demand.allowed(found.outlooks[0.2])


@pytest.mark.parametrize("ceiling", [0.0, float("nan"), float("inf")])
def test_a_ceiling_is_a_number(ceiling: float) -> None:
    with pytest.raises(ArgumentError, match=f"ceiling must be at least 0.01 and finite, got {ceiling:g}"):
        Demand(1, ceiling=ceiling)


def test_what_permanent_memory_does_not_bound_is_said(example: Path) -> None:
    """Its lifetime epsilon is of what was answered; and one change is one."""
    lasting = PERMANENT.replace("changes = 3", "changes = 1")
    definition = Definition.parse(example.read_text(encoding="utf-8").replace('memory = "fresh"', lasting))
    found = tune(definition, Demand(500_000, target=0.05), ANYONE)
    assert (
        "A device reveals at most epsilon 4 in all of what was answered, not whether and when it changed: whoever keeps"
        in found.reason
    )
    assert found.outlooks[1.0][0].protects.startswith("what was answered, with up to 1 change; not whether and when an")


def test_memory_and_answers_every_stand_side_by_side(example: Path) -> None:
    """At every fourth week a quarter of the reports come, for about a quarter of the lifetime epsilon."""
    found = tune(Definition.load(example), Demand(50_000), ANYONE)
    kinds = [(rows[0].memory, rows[0].answers_every) for rows in found.alternatives]
    assert kinds == [*(("fresh", every) for every in (1, 2, 4, 8, 13, 26)), ("permanent", 1)]
    fresh, permanent = found.alternatives[0][0], found.alternatives[-1][0]
    assert fresh.protects == "whatever the customer did, in all 26 answers together"
    assert "not whether and when an answer changed" in permanent.protects
    assert (fresh.lifetime_epsilon, permanent.lifetime_epsilon) == (26, 8)
    assert fresh.reports == 4 * found.alternatives[2][0].reports


def test_permanent_memory_of_the_survey_is_kept(example: Path) -> None:
    """Its epsilon_permanent is a promise: every epsilon above it is left out, and the table says so."""
    text = example.read_text(encoding="utf-8").replace('memory = "fresh"', PERMANENT)
    found = tune(Definition.parse(text), Demand(50_000), ANYONE, [1.0, 2.0, 2.5, 3.0])
    assert {epsilon: rows[0].lifetime_epsilon for epsilon, rows in found.outlooks.items()} == {1.0: 8, 2.0: 8}
    assert tuning_sheets(found)[0].remark == (
        "left out: 2.5, 3; epsilon 2.5 is above privacy.epsilon_permanent = 2: raise that yourself, or name smaller"
        " ones with --epsilon"
    )
    assert tuning_sheets(tune(Definition.load(example), Demand(50_000), ANYONE))[0].remark == ""


def test_an_epsilon_that_no_question_can_have_is_left_out(example: Path) -> None:
    """Here because a question has an epsilon_permanent of its own."""
    text = example.read_text(encoding="utf-8").replace('id = "basket"', 'id = "basket"\nepsilon_permanent = 1.5')
    found = tune(Definition.parse(text.replace('memory = "fresh"', PERMANENT)), Demand(50_000), ANYONE, [1.0, 1.75])
    assert found.refused.keys() == {1.75}
    assert "epsilon_permanent: must not be below its epsilon (1.75), got 1.5" in found.refused[1.75]
    with pytest.raises(SimulationError, match="no epsilon was named"):
        tune(Definition.load(example), Demand(50_000), ANYONE, [])


def test_a_question_with_its_own_epsilon_keeps_it(example: Path) -> None:
    text = example.read_text(encoding="utf-8").replace('id = "basket"', 'id = "basket"\nepsilon = 2.0')
    found = tune(Definition.parse(text), Demand(50_000), ANYONE, [0.5, 1.0])
    for epsilon, rows in found.outlooks.items():
        assert [row.question_epsilon for row in rows] == [epsilon] * 3 + [2.0]


def test_how_sure_an_observer_can_be_is_told_as_a_survey_explains_it(example: Path) -> None:
    """By one rule, which rounds up: what `survey explain` tells the customer, the table says too."""
    survey = Definition.load(example).survey
    [told] = [line for line in observer_conclusions(survey) if line.startswith("If 10% of customers")]
    one, every = (describe_belief(belief_bound(0.1, epsilon)) for epsilon in (1.0, survey.lifetime_epsilon))
    assert every in told
    lines = run(str(example), "--devices", "50000", "--epsilon", "1", "--target", "0.2").stdout.splitlines()
    assert lines[0].endswith(f"was 10% sure of something about its owner can be {every}.")
    assert [f"at most {cell} sure" for cell in lines[4].split()[-2:]] == [one, every]
    revealing = run(str(example), "--devices", "50000", "--epsilon", "4", "--target", "0.2", "--ceiling", "28").stdout
    assert "practically certain." in revealing.splitlines()[0]
    assert "over 99.99%" in revealing.splitlines()[4]


def test_too_few_reports_are_no_success(example: Path) -> None:
    """min_reports counts: at epsilon 4 forty reports would meet a target of 20 points, but are not published."""
    found = tune(Definition.load(example), Demand(700, target=0.2), ANYONE)
    assert found.recommended is None
    assert "too few to be published" in found.reason
    assert "would have 1 report, too few" in tune(Definition.load(example), Demand(16), ANYONE).reason


def test_the_verdict_comes_first_and_then_the_tables(example: Path) -> None:
    result = run(str(example), "--devices", "500000", "--ceiling", "17.5")
    assert result.exit_code == 0, result.output
    verdict, _, rest = result.output.partition("\n\n")
    assert verdict.startswith(
        "Epsilon 2.5: each segment's 95% interval reaches at most 0.84 points to either side each week; 2 would need"
        " 560,000 devices. A"
    )
    assert "\n" not in verdict, "in a pipe no sentence is broken"
    assert rest.startswith("epsilon ")
    assert "memory and answers_every" in result.output


def test_json_and_csv_hold_the_same_rows(example: Path) -> None:
    rows = json.loads(run(str(example), "--devices", "50000", "--format", "json").stdout)
    lines = list(csv.DictReader(io.StringIO(run(str(example), "--devices", "50000", "--format", "csv").stdout)))
    assert len(rows) == len(lines) == 4 * (len(GRID) + 7)
    assert list(rows[0]) == list(lines[0])
    assert [row["half_width"] for row in rows] == [float(line["half_width"]) for line in lines]
    assert rows[0]["half_widths"].keys() == {"none", "once", "regular", "heavy"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.toml", "--devices", "5"], "missing.toml: cannot be read: No such file or directory"),
        (["EXAMPLE", "--devices", "0"], "Invalid value for '--devices'"),
        (["EXAMPLE", "--devices", "3"], "must be more than 3: not one report per question and week would come"),
        (
            ["EXAMPLE", "--devices", "50", "--like", "zip"],
            "'--like': 'zip' is not a shape (uniform, zipf:S, geometric:R)",
        ),
        (["EXAMPLE", "--devices", "50", "--like", "zipf:x"], "the parameter of zipf must be a number, got 'x'"),
        (["EXAMPLE", "--devices", "50", "--like", "geometric:2"], "geometric needs a parameter above 0 and at most 1"),
        (["EXAMPLE", "--devices", "50", "--epsilon", "80"], "Invalid value for '--epsilon'"),
        (
            ["RAPPOR", "--devices", "5000"],
            "rappor (basket) cannot be planned; `hushtally simulate` draws it",
        ),
        (["EXAMPLE", "--devices", "1.5"], "'1.5' is not a whole number; write it like 100000, 100,000 or 1e5"),
        (["EXAMPLE", "--devices", "1e999"], "'1e999' is not a whole number"),
        (["EXAMPLE", "--devices", "1,00"], "'1,00' is not a whole number"),
        (["EXAMPLE", "--devices", "many"], "'many' is not a whole number"),
        (["EXAMPLE", "--devices", "50", "--target", "3pt"], "'3pt' is not a share; write it like 0.03 or 3%"),
        (["EXAMPLE", "--devices", "50", "--target", "300%"], "300% is more than all; write 3% or 0.03"),
        (["EXAMPLE", "--devices", "50", "--target", "3"], "3 is more than all; write 3% or 0.03"),
        (["EXAMPLE", "--devices", "50", "--target", "0"], "0.0 is not in the range 0<x<1"),
        (["EXAMPLE", "--devices", "50", "--target", "nan"], "'nan' is not a share; write it like 0.03 or 3%"),
        (["EXAMPLE", "--devices", "50", "--participation", "60"], "60 is more than all; write 60% or 0.6"),
        (["EXAMPLE", "--devices", "1000000001"], "Invalid value for '--devices'"),
        (["EXAMPLE"], "Missing option '--devices'"),
    ],
)
def test_mistakes_get_one_clear_line(example: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    rappor = tmp_path / "rappor.toml"
    rappor.write_text(example.read_text(encoding="utf-8").replace('id = "basket"', f'id = "basket"\n{RAPPOR}'), "utf-8")
    files = {"EXAMPLE": str(example), "RAPPOR": str(rappor)}
    result = run(*(files.get(one, one) for one in arguments))
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert "Traceback" not in result.output
