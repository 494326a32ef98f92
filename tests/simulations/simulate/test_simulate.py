"""Simulations: two engines that agree, time that passes, and figures that planning foretold."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from hushtally.aggregator.errors import ArgumentError
from hushtally.cli import main
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.mechanisms import choose
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import ONE_SIDED, least_detected, power
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.sampling import draw_supporting
from hushtally.simulations.simulate import client_engine, tally_engine
from hushtally.simulations.simulate.client_engine import InProcess
from hushtally.simulations.simulate.scenario import Collected, Scenario
from hushtally.simulations.simulate.simulation import Outcome, simulate, steps
from hushtally.simulations.simulate.tables import concluded, outcome_sheets
from hushtally.simulations.tune.forecast import Demand, outlook
from survey_builder import survey_text

ANYONE = Population.like("zipf:1")
SMALL = survey_text(
    [
        {
            "id": "one",
            "segments": [{"id": "a", "when": "seen == 1"}, {"id": "b", "when": "seen == 2"}, {"id": "c"}],
        },
        {"id": "two", "segments": [{"id": "a", "when": "seen == 1"}, {"id": "b"}]},
    ],
    id="small",
    epoch="week",
    min_reports=1,
    privacy={"epsilon": 2.0},
    cohorts={},
    signals={"seen": {"count": "visit", "days": 7}},
).replace("epsilon = 2.0", "epsilon = 2.0\nMEMORY")
PERMANENT = 'memory = "permanent"\nepsilon_permanent = 4.0\nchanges = 1'


def small(memory: str = "") -> Survey:
    return Survey.parse(SMALL.replace("MEMORY", memory))


@pytest.fixture
def survey(example: Path) -> Survey:
    return Survey.load(example)


def total(found: dict[tuple[str, int], Collected]) -> dict[tuple[str, int], int]:
    return {key: one.n for key, one in found.items()}


@pytest.mark.parametrize("repetitions", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_the_engines_agree(repetitions: int) -> None:
    """150 devices 4 or 16 times through each engine, with everything that can happen in four epochs: the mean number of
    reports and of supporting reports differ by less than 5.5 standard errors (chance below 1 in 10^6)."""
    survey = small("answers_every = 2\nquestions_per_device = 1")
    scenario = Scenario(150, ANYONE, Population.like("uniform"), 4, 0.8, change=0.3, turnover=0.2, withdrawal=0.1)
    runs = {
        name: [
            {
                key: np.array([one.n, *(one.supporting if one.supporting is not None else ())])
                for key, one in found.items()
            }
            for found in (engine(survey, scenario, (5, repetition)) for repetition in range(repetitions))
        ]
        for name, engine in (("crowd", tally_engine.collect), ("fleet", client_engine.collect))
    }
    for key in runs["crowd"][0]:
        samples = [np.array([run[key] for run in runs[name]]) for name in ("crowd", "fleet")]
        difference = samples[0].mean(axis=0) - samples[1].mean(axis=0)
        assert samples[0].mean() > 5
        # counts are at most as spread as Poisson counts of the same mean
        error = np.sqrt((samples[0].mean(axis=0) + samples[1].mean(axis=0)) / repetitions)
        assert (abs(difference) < 5.5 * error).all(), key


@pytest.mark.parametrize("memory", ["", pytest.param(PERMANENT, marks=pytest.mark.slow)])
def test_both_engines_estimate_the_truth(memory: str) -> None:
    """1,000 devices, chi-square of the estimates' errors in the first of 2 epochs below its 1 in 10^6 point."""
    survey = small(memory + "\nquestions_per_device = 2")
    for engine in ("tallies", "clients"):
        rows = simulate(survey, Scenario(1_000, ANYONE, epochs=2), engine)
        for id in ("one", "two"):
            # one segment less than there are, one epoch: what is independent
            chosen = [row for row in rows if row.question == id and row.segment != "a" and row.epoch == "2026-W45"]
            channel = survey.question(id).mechanism.channel
            errors = [(row.estimate or 0) - row.truth for row in chosen]
            statistic = sum(
                error**2 / float(channel.variance(row.truth, row.reports))
                for error, row in zip(errors, chosen, strict=True)
            )
            assert statistic < 2 * chi2.isf(1e-6, len(chosen))


def test_a_fleet_answers_as_often_as_its_schedule_says() -> None:
    """Everyone takes part in every second epoch: two epochs together hold every device exactly once a question."""
    survey = small("answers_every = 2\nquestions_per_device = 2")
    found = total(client_engine.collect(survey, Scenario(100, ANYONE, epochs=2), (1,)))
    assert found["one", 0] + found["one", 1] == found["two", 0] + found["two", 1] == 100


def test_withdrawn_devices_are_silent_and_new_ones_come() -> None:
    survey = small("questions_per_device = 2")
    gone = total(client_engine.collect(survey, Scenario(50, ANYONE, epochs=3, withdrawal=1.0), (1,)))
    assert [gone["one", step] for step in range(3)] == [50, 0, 0]
    come = total(client_engine.collect(survey, Scenario(50, ANYONE, epochs=3, turnover=1.0, withdrawal=1.0), (1,)))
    assert [come["one", step] for step in range(3)] == [50, 50, 50]
    assert total(tally_engine.collect(survey, Scenario(50, ANYONE, epochs=3, withdrawal=1.0), (1,)))["one", 1] == 0
    assert total(tally_engine.collect(survey, Scenario(50, ANYONE, epochs=3, turnover=1.0), (1,)))["one", 2] == 50


def test_permanent_memory_repeats_itself_in_the_fleet() -> None:
    """With epsilon_permanent = epsilon a report is the permanent symbol: unchanged answers give unchanged counts; after
    one change of everybody's answer, which is followed, further ones are not."""
    survey = small(PERMANENT.replace("4.0", "2.0") + "\nquestions_per_device = 2")
    same = client_engine.collect(survey, Scenario(60, ANYONE, epochs=3), (2,))
    assert all(np.array_equal(same["one", 0].supporting, same["one", step].supporting) for step in (1, 2))  # type: ignore[arg-type]
    fresh = client_engine.collect(small("questions_per_device = 2"), Scenario(60, ANYONE, epochs=3), (2,))
    assert not np.array_equal(fresh["one", 0].supporting, fresh["one", 1].supporting)  # type: ignore[arg-type]


@pytest.mark.parametrize("runs", [1, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("changes", [0, 1])
def test_the_engines_agree_on_what_is_remembered(changes: int, runs: int) -> None:
    """150 devices that change again and again, once or 6 times: with epsilon_permanent = epsilon reports show what each
    device keeps; the means of the last epoch, when room for changes is used up, agree (1 in 10^6)."""
    memory = PERMANENT.replace("4.0", "2.0").replace("changes = 1", f"changes = {changes}")
    survey = small(memory + "\nquestions_per_device = 2")
    scenario = Scenario(150, Population.like("geometric:0.1"), Population.like("uniform"), 4, change=0.6)
    lasts = {
        name: np.array([engine(survey, scenario, (9, run))["one", 3].supporting for run in range(runs)])
        for name, engine in (("crowd", tally_engine.collect), ("fleet", client_engine.collect))
    }
    difference = lasts["crowd"].mean(axis=0) - lasts["fleet"].mean(axis=0)
    error = np.sqrt((lasts["crowd"].mean(axis=0) + lasts["fleet"].mean(axis=0)) / runs)
    assert (abs(difference) < 5.5 * error).all()


def test_a_crowd_repeats_what_it_remembers() -> None:
    """Unchanged answers with gamma = 1 give equal counts in every epoch, as from real devices; a larger
    crowd is said to be forgetful."""
    survey = small(PERMANENT.replace("4.0", "2.0") + "\nquestions_per_device = 2")
    scenario = Scenario(50_000, ANYONE, epochs=3)
    found = tally_engine.collect(survey, scenario, (1,))
    assert all(np.array_equal(found["one", 0].supporting, found["one", step].supporting) for step in (1, 2))  # type: ignore[arg-type]
    assert not tally_engine.forgetful(survey, scenario)
    assert tally_engine.forgetful(survey, Scenario(10**7, ANYONE, epochs=3))
    assert not tally_engine.forgetful(small(), Scenario(10**7, ANYONE, epochs=3))


def test_shares_move_with_the_devices_that_change() -> None:
    """Half the answers drawn anew each epoch: the truth follows half of the way, and so do the estimates."""
    survey = small("questions_per_device = 2")
    later = Population.like("geometric:0.01")
    scenario = Scenario(10**7, Population.like("uniform"), later, 4, change=0.5)
    question = survey.question("one")
    truths = np.array(scenario.truths(question))
    assert truths[0] == pytest.approx([1 / 3] * 3)
    assert truths[1, 0] == pytest.approx(1 / 3 + 0.5 * (scenario.drawn(question, 1)[0] - 1 / 3))
    rows = simulate(survey, scenario)
    # 2.3 half-widths are 4.5 standard errors: of 20 estimates one is further off 1 in 7,000 times; the seed is fixed
    assert all(abs((row.estimate or 0) - row.truth) < 2.3 * (row.half_width or 0) for row in rows)


@pytest.mark.parametrize("engine", ["tallies", "clients"])
def test_the_same_seed_gives_the_same_result(engine: str) -> None:
    scenario = Scenario(80, ANYONE, epochs=2, turnover=0.2, change=0.2)
    one, other, third = (simulate(small(), scenario, engine, seed=seed) for seed in (3, 3, 4))
    assert one == other
    assert one != third


def test_planned_half_widths_are_what_simulations_measure(survey: Survey) -> None:
    """Within 3%, question by question and segment by segment."""
    demand = Demand(200_000)
    rows = simulate(survey, Scenario(200_000, ANYONE), repetitions=20)
    planned = {
        (question.id, segment): half
        for question in survey.asked
        for segment, half in outlook(survey, question, demand, ANYONE).half_widths.items()
    }
    for row in rows:
        assert row.half_width == pytest.approx(planned[row.question, row.segment], rel=0.03)


def test_intervals_hold_the_truth_as_often_as_promised(survey: Survey) -> None:
    """1,000 repetitions, one segment of every question: within 4 standard errors of 95% (fails 1 in 4,000)."""
    rows = simulate(survey, Scenario(40_000, ANYONE), repetitions=1_000)
    for question in survey.asked:
        first = next(row for row in rows if row.question == question.id)
        assert abs((first.coverage or 0) - 0.95) < 4 * (0.95 * 0.05 / 1_000) ** 0.5


@pytest.mark.parametrize(("epsilon", "share", "n"), [(1.0, 0.1, 1_967), (2.0, 0.05, 1_363), (4.0, 0.01, 1_720)])
def test_the_power_that_was_planned_is_there(epsilon: float, share: float, n: int) -> None:
    """Of 1,000 surveys planned for power .8 as many detect the segment as the exact power says, within 4 standard
    errors (fails 1 in 16,000)."""
    mechanism = choose(16, epsilon)
    random = np.random.default_rng(11)
    shares = np.array([share, *[(1 - share) / 15] * 15])
    least = least_detected(mechanism.channel, n, ONE_SIDED)
    detected = sum(
        int(draw_supporting(mechanism, random.multinomial(n, shares), random)[0] >= least) for _ in range(1_000)
    )
    exact = power(mechanism.channel, share, n)
    assert abs(exact - 0.8) < 0.03
    assert abs(detected / 1_000 - exact) < 4 * (exact * (1 - exact) / 1_000) ** 0.5


@pytest.mark.parametrize("engine", ["tallies", "clients"])
def test_progress_is_reported_as_often_as_announced(engine: str) -> None:
    scenario = Scenario(20, ANYONE, epochs=2)
    taken: list[int] = []
    simulate(small(), scenario, engine, 2, progress=lambda: taken.append(1))
    assert len(taken) == steps(small(), scenario, engine, 2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Scenario(0, ANYONE), "devices must be at least 1, got 0"),
        (lambda: Scenario(10**9 + 1, ANYONE), "devices must be at most 1,000,000,000, got 1,000,000,001"),
        (
            lambda: Scenario(5, ANYONE, change=0.5),
            "change happens between epochs: epochs must be more than 1 with it, got 1",
        ),
        (lambda: Scenario(5, ANYONE, turnover=0.5), "turnover happens between epochs"),
        (lambda: Scenario(5, ANYONE, withdrawal=0.5), "withdrawal happens between epochs"),
        (lambda: Scenario(5, ANYONE, change=2), "change must be at least 0 and at most 1, got 2"),
        (
            lambda: Scenario(5, ANYONE, ANYONE),
            "then moves shares from epoch to epoch: epochs must",
        ),
        (lambda: simulate(small(), Scenario(5, ANYONE, epochs=9)), "epochs must be at most the 4 of small v1, got 9"),
        (lambda: simulate(small(), Scenario(5, ANYONE), "guess"), "engine must be one of tallies, clients"),
        (lambda: simulate(small(), Scenario(5, ANYONE), repetitions=0), "repetitions must be at least 1, got 0"),
        (lambda: simulate(small(), Scenario(10**6, ANYONE), "clients"), "devices must be at most 200,000"),
    ],
)
def test_what_cannot_be_simulated(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match=said):
        make()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_shows_estimates_beside_the_truth(example: Path) -> None:
    one = run(str(example), "--devices", "50000", "--seed", "1")
    assert one == run(str(example), "--devices", "50000", "--seed", "1")
    assert "intervals hold the truth" in one
    assert "holds" in one
    many = run(str(example), "--devices", "50000", "--repetitions", "5")
    assert "coverage" in many
    assert "too few to be published" in run(str(example), "--devices", "500")


def test_the_command_names_the_population(example: Path) -> None:
    """What is called truth is invented where nobody stated it."""
    shown = " ".join(run(str(example), "--devices", "500").split())
    assert (
        "Truth: zipf:1 for every question, an invented shape; frequency_x_returned has shares of its own, which"
        in shown
    )
    moved = run(str(example), "--devices", "500", "--epochs", "2", "--then", "uniform", "--change", "0.5")
    assert "; by the last epoch drawn from uniform for every question, an invented shape." in " ".join(moved.split())


def test_it_says_which_memory_is_not_followed(example: Path, tmp_path: Path) -> None:
    """Between epochs, of more devices than fit; with fewer, or without memory, there is nothing to say."""
    permanent = 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 7'
    file = tmp_path / "permanent.toml"
    file.write_text(example.read_text(encoding="utf-8").replace('memory = "fresh"', permanent), encoding="utf-8")
    said = "each epoch is drawn apart; --engine clients follows what up to 200,000 devices remember between them\n"
    for survey, devices, words in ((file, "2e6", said), (file, "5e4", ""), (example, "2e6", "")):
        done = CliRunner().invoke(main, ["simulate", str(survey), "--devices", devices, "--epochs", "2"])
        assert (done.exit_code, done.stderr) == (0, words)


@pytest.mark.parametrize("command", ["simulate", "tune"])
def test_permanent_memory_that_falls_behind_is_said_last(example: Path, tmp_path: Path, command: str) -> None:
    file = tmp_path / "permanent.toml"
    for changes, warned in ((3, True), (7, False)):
        permanent = f'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = {changes}'
        file.write_text(example.read_text(encoding="utf-8").replace('memory = "fresh"', permanent), encoding="utf-8")
        done = CliRunner().invoke(main, [command, str(file), "--devices", "5e4"])
        assert done.exit_code == 0
        assert done.stderr.endswith("the intervals do not reflect that; raise changes, or use fresh memory\n") == warned


def test_nothing_published_says_what_it_takes(example: Path) -> None:
    shown = run(str(example), "--devices", "50")
    assert "No question has enough reports to be published; it takes more devices, or a smaller min_reports." in shown


def test_one_report_is_not_many(example: Path) -> None:
    """One device answers one question."""
    shown = run(str(example), "--devices", "4", "--engine", "clients")
    assert "  1 report\n" in shown
    assert "1 reports" not in shown


def test_devices_that_fail_are_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that refuses everything: what came is not passed off as what was asked."""

    def refuse(self: InProcess, *request: object, **options: object) -> Response:
        self.refused += 1
        return Response(400, b"{}")

    monkeypatch.setattr(InProcess, "request", refuse)
    with pytest.raises(SimulationError, match=r"refused by the collector: \d+; reports accepted: 0, counted: 0"):
        simulate(small(), Scenario(20, ANYONE), "clients")


def test_intervals_are_shown_so_that_the_verdict_can_be_seen() -> None:
    """A truth of 0 is not in -3.4% to -0.1%, which is said to be no mistake."""
    one = Outcome("s", 1, "tallies", "q", "2026-W45", "a", 1, 600.0, 0.0, 1, -0.017, -0.034, -0.001, 0.01, 0.0165, 0.0)
    [sheet] = outcome_sheets([one])
    assert sheet.rows == [["a", "0.0%", "-1.7%", "-3.4% to -0.1%", "no"]]
    assert "Noise takes small shares below 0" in concluded([one], 0.95)
    assert "Noise" not in concluded([replace(one, estimate=0.5, low=0.4, high=0.6)], 0.95)


def test_a_large_question_shows_its_largest_segments() -> None:
    rows = simulate(small("questions_per_device = 2"), Scenario(20_000, Population.like("zipf:1")))
    first = outcome_sheets(rows, most=2)[0]
    assert [row[0] for row in first.rows] == ["a", "b"]
    assert first.remark == "the largest 2; 1 more with --format csv or --format json"


def test_the_command_in_json_and_csv(example: Path) -> None:
    arguments = (
        str(example),
        "--devices",
        "50000",
        "--epochs",
        "3",
        "--then",
        "uniform",
        "--change",
        "0.1",
        "--format",
    )
    rows = json.loads(run(*arguments, "json"))
    lines = list(csv.DictReader(io.StringIO(run(*arguments, "csv"))))
    assert len(rows) == len(lines) == 3 * (4 + 4 + 8 + 6)
    assert list(rows[0]) == list(lines[0])
    assert {row["epoch"] for row in rows} == {"2026-W45", "2026-W46", "2026-W47"}


def test_the_commands_mistakes(example: Path) -> None:
    for arguments, said in (
        (["--then", "zap.csv"], "'--then': 'zap.csv' is neither a file nor a shape (uniform, zipf:S, geometric:R)"),
        (["--epochs", "40"], "'--epochs': must be at most the 26"),
        (["--truth", "missing.json"], "missing.json: cannot be read"),
        (["--engine", "x"], "Invalid value for '--engine'"),
    ):
        result = CliRunner().invoke(main, ["simulate", str(example), "--devices", "500", *arguments])
        assert result.exit_code in (1, 2)
        assert said in result.output
        assert "Traceback" not in result.output


def test_a_definition_can_be_simulated_from_a_notebook(example: Path) -> None:
    rows = simulate(Definition.load(example).survey, Scenario(50_000, ANYONE))
    assert {row.published for row in rows} == {1}


def test_rappor_is_simulated_by_its_own_code() -> None:
    """By regression, as the aggregator does: every estimate within 4 standard errors of the truth (fails by chance
    less than 1 in 3,000; the seed is fixed)."""
    text = SMALL.replace("MEMORY", "questions_per_device = 2").replace('id = "one"', f'id = "one"\n{RAPPOR}')
    rows = simulate(Survey.parse(text), Scenario(20_000, ANYONE))
    assert all(abs((row.estimate or 0) - row.truth) < 2.04 * (row.half_width or 0) for row in rows)


@pytest.mark.parametrize("confidence", [0.95, 0.7])
def test_the_power_of_rappor_is_that_of_its_test(confidence: float) -> None:
    """As often as a normal estimate with this share and error stands out, within 4.5 standard errors (1 in 10^5); its
    displayed interval is longer."""
    survey = Survey.parse(
        SMALL.replace("MEMORY", "questions_per_device = 2").replace('id = "one"', f'id = "one"\n{RAPPOR}')
    )
    rows = simulate(survey, Scenario(800, ANYONE), repetitions=100, seed=3, confidence=confidence)
    powers = []
    for row in rows[:3]:
        power = float(ndtr(row.truth / (row.error or 1) - ndtri(confidence)))
        # the error itself is measured to 7%, which moves the power by at most .24 of that
        assert abs((row.detected or 0) - power) < 4.5 * (power * (1 - power) / 100) ** 0.5 + 0.02
        powers.append(row.detected or 0)
    assert 0 < min(powers) < 1


RAPPOR = 'epsilon = 8.0\nmechanism = { name = "rappor", k = 8, h = 1, m = 16, f = 0.5, p = 0.25, q = 0.75 }'


def test_an_environment_that_switches_clients_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with pytest.raises(SimulationError, match="real clients cannot be simulated here: DO_NOT_TRACK"):
        simulate(small(), Scenario(5, ANYONE), "clients")
