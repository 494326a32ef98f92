"""Simulations: both engines agree with each other and with the forecasts, also over several epochs."""

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
from hushtally.client_sdk.explain.advice import lag_warnings
from hushtally.client_sdk.mechanisms import choose
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import ONE_SIDED, detection_count, power
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.sampling import draw_support_counts
from hushtally.simulations.simulate import client_engine, tally_engine
from hushtally.simulations.simulate.client_devices import InProcessTransport
from hushtally.simulations.simulate.epoch_counts import EpochCounts
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import Outcome, progress_steps, simulate
from hushtally.simulations.simulate.tables import coverage_summary, outcome_tables
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.forecast import forecast
from survey_builder import survey_text

ANYONE = Population.from_shape("zipf:1")
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


def reports(counts: dict[tuple[str, int], EpochCounts]) -> dict[tuple[str, int], int]:
    return {key: one.n for key, one in counts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("repetitions", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_the_engines_agree(repetitions: int) -> None:
    """4 or 16 runs of 150 devices over four epochs, with turnover, change and withdrawal: the means agree.

    The mean numbers of reports and the mean support counts differ by less than 5.5 standard errors; fails by chance
    less than 1 in 10^6.
    """
    survey = small("answers_every = 2\nquestions_per_device = 1")
    scenario = Scenario(150, ANYONE, Population.from_shape("uniform"), 4, 0.8, change=0.3, turnover=0.2, withdrawal=0.1)
    runs = {
        name: [
            {key: np.array([one.n, *(one.support if one.support is not None else ())]) for key, one in found.items()}
            for found in (engine(survey, scenario, (5, repetition)) for repetition in range(repetitions))
        ]
        for name, engine in (("tallies", tally_engine.run), ("clients", client_engine.run))
    }
    for key in runs["tallies"][0]:
        samples = [np.array([run[key] for run in runs[name]]) for name in ("tallies", "clients")]
        difference = samples[0].mean(axis=0) - samples[1].mean(axis=0)
        assert samples[0].mean() > 5
        # the variance of a count is at most that of a Poisson count with the same mean
        error = np.sqrt((samples[0].mean(axis=0) + samples[1].mean(axis=0)) / repetitions)
        assert (abs(difference) < 5.5 * error).all(), key


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["", pytest.param(PERMANENT, marks=pytest.mark.slow)])
def test_both_engines_estimate_the_true_shares(memory: str) -> None:
    """Chi-square test of the errors in the first of 2 epochs with 1,000 devices; fails by chance 1 in 10^6."""
    survey = small(memory + "\nquestions_per_device = 2")
    for engine in ("tallies", "clients"):
        rows = simulate(survey, Scenario(1_000, ANYONE, epochs=2), engine)
        for id in ("one", "two"):
            # independent errors only: one epoch, and one segment less than there are
            chosen = [row for row in rows if row.question == id and row.segment != "a" and row.epoch == "2026-W45"]
            channel = survey.question(id).mechanism.channel
            errors = [(row.estimate or 0) - row.truth for row in chosen]
            statistic = sum(
                error**2 / float(channel.variance(row.truth, row.reports))
                for error, row in zip(errors, chosen, strict=True)
            )
            assert statistic < 2 * chi2.isf(1e-6, len(chosen))


def test_clients_answer_as_often_as_the_schedule_says() -> None:
    """Every device answers in every second epoch: two epochs together count it exactly once per question."""
    survey = small("answers_every = 2\nquestions_per_device = 2")
    found = reports(client_engine.run(survey, Scenario(100, ANYONE, epochs=2), (1,)))
    assert found["one", 0] + found["one", 1] == found["two", 0] + found["two", 1] == 100


def test_devices_stop_after_withdrawal_and_turnover_replaces_them() -> None:
    survey = small("questions_per_device = 2")
    gone = reports(client_engine.run(survey, Scenario(50, ANYONE, epochs=3, withdrawal=1.0), (1,)))
    assert [gone["one", step] for step in range(3)] == [50, 0, 0]
    come = reports(client_engine.run(survey, Scenario(50, ANYONE, epochs=3, turnover=1.0, withdrawal=1.0), (1,)))
    assert [come["one", step] for step in range(3)] == [50, 50, 50]
    assert reports(tally_engine.run(survey, Scenario(50, ANYONE, epochs=3, withdrawal=1.0), (1,)))["one", 1] == 0
    assert reports(tally_engine.run(survey, Scenario(50, ANYONE, epochs=3, turnover=1.0), (1,)))["one", 2] == 50


@pytest.mark.slow
def test_clients_with_permanent_memory_repeat_their_answers() -> None:
    """If epsilon_permanent equals epsilon, a report is the permanent symbol: unchanged answers give equal counts."""
    survey = small(PERMANENT.replace("4.0", "2.0") + "\nquestions_per_device = 2")
    same = client_engine.run(survey, Scenario(60, ANYONE, epochs=3), (2,))
    assert all(np.array_equal(same["one", 0].support, same["one", step].support) for step in (1, 2))  # type: ignore[arg-type]
    fresh = client_engine.run(small("questions_per_device = 2"), Scenario(60, ANYONE, epochs=3), (2,))
    assert not np.array_equal(fresh["one", 0].support, fresh["one", 1].support)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("changes", [0, 1])
def test_the_engines_agree_on_permanent_memory(changes: int, runs: int) -> None:
    """1 or 6 runs of 150 devices that change often: the means of the last epoch agree, when no change is left.

    Because epsilon_permanent equals epsilon, each report shows the permanent answer. Fails by chance 1 in 10^6.
    """
    memory = PERMANENT.replace("4.0", "2.0").replace("changes = 1", f"changes = {changes}")
    survey = small(memory + "\nquestions_per_device = 2")
    scenario = Scenario(150, Population.from_shape("geometric:0.1"), Population.from_shape("uniform"), 4, change=0.6)
    lasts = {
        name: np.array([engine(survey, scenario, (9, run))["one", 3].support for run in range(runs)])
        for name, engine in (("tallies", tally_engine.run), ("clients", client_engine.run))
    }
    difference = lasts["tallies"].mean(axis=0) - lasts["clients"].mean(axis=0)
    error = np.sqrt((lasts["tallies"].mean(axis=0) + lasts["clients"].mean(axis=0)) / runs)
    assert (abs(difference) < 5.5 * error).all()


def test_the_tally_engine_follows_permanent_memory_up_to_a_limit() -> None:
    """Unchanged answers with gamma = 1 give equal counts in every epoch, as from real clients."""
    survey = small(PERMANENT.replace("4.0", "2.0") + "\nquestions_per_device = 2")
    scenario = Scenario(50_000, ANYONE, epochs=3)
    found = tally_engine.run(survey, scenario, (1,))
    assert all(np.array_equal(found["one", 0].support, found["one", step].support) for step in (1, 2))  # type: ignore[arg-type]
    assert not tally_engine.ignores_permanent_memory(survey, scenario)
    assert tally_engine.ignores_permanent_memory(survey, Scenario(10**7, ANYONE, epochs=3))
    assert not tally_engine.ignores_permanent_memory(small(), Scenario(10**7, ANYONE, epochs=3))


def test_the_true_shares_follow_the_devices_that_change() -> None:
    """If half the answers are redrawn each epoch, the true shares and the estimates move half of the way."""
    survey = small("questions_per_device = 2")
    later = Population.from_shape("geometric:0.01")
    scenario = Scenario(10**7, Population.from_shape("uniform"), later, 4, change=0.5)
    question = survey.question("one")
    truths = np.array(scenario.true_shares(question))
    assert truths[0] == pytest.approx([1 / 3] * 3)
    assert truths[1, 0] == pytest.approx(1 / 3 + 0.5 * (scenario.drawn_shares(question, 1)[0] - 1 / 3))
    rows = simulate(survey, scenario)
    # 2.3 half-widths are 4.5 standard errors: one of 20 estimates fails by chance 1 in 7,000; the seed is fixed
    assert all(abs((row.estimate or 0) - row.truth) < 2.3 * (row.half_width or 0) for row in rows)


@pytest.mark.parametrize("engine", ["tallies", "clients"])
def test_equal_seeds_give_equal_results(engine: str) -> None:
    scenario = Scenario(80, ANYONE, epochs=2, turnover=0.2, change=0.2)
    one, other, third = (simulate(small(), scenario, engine, seed=seed) for seed in (3, 3, 4))
    assert one == other
    assert one != third


def test_forecast_half_widths_agree_with_the_simulation(survey: Survey) -> None:
    """Each segment of each question agrees within 3%."""
    constraints = Constraints(200_000)
    rows = simulate(survey, Scenario(200_000, ANYONE), repetitions=20)
    expected = {
        (question.id, segment): half
        for question in survey.asked
        for segment, half in forecast(survey, question, constraints, ANYONE).half_widths.items()
    }
    for row in rows:
        assert row.half_width == pytest.approx(expected[row.question, row.segment], rel=0.03)


def test_95_percent_intervals_contain_the_true_value_95_percent_of_the_time(survey: Survey) -> None:
    """1,000 runs, one segment of each question: within 4 standard errors of 95%; fails by chance 1 in 4,000."""
    rows = simulate(survey, Scenario(40_000, ANYONE), repetitions=1_000)
    for question in survey.asked:
        first = next(row for row in rows if row.question == question.id)
        assert abs((first.coverage or 0) - 0.95) < 4 * (0.95 * 0.05 / 1_000) ** 0.5


@pytest.mark.parametrize(("epsilon", "share", "n"), [(1.0, 0.1, 1_967), (2.0, 0.05, 1_363), (4.0, 0.01, 1_720)])
def test_the_power_agrees_with_the_simulation(epsilon: float, share: float, n: int) -> None:
    """1,000 surveys with power .8 detect the segment as often as the exact power says.

    Within 4 standard errors; fails by chance 1 in 16,000.
    """
    mechanism = choose(16, epsilon)
    random = np.random.default_rng(11)
    shares = np.array([share, *[(1 - share) / 15] * 15])
    threshold = detection_count(mechanism.channel, n, ONE_SIDED)
    detected = sum(
        int(draw_support_counts(mechanism, random.multinomial(n, shares), random)[0] >= threshold) for _ in range(1_000)
    )
    exact = power(mechanism.channel, share, n)
    assert abs(exact - 0.8) < 0.03
    assert abs(detected / 1_000 - exact) < 4 * (exact * (1 - exact) / 1_000) ** 0.5


@pytest.mark.parametrize("engine", ["tallies", "clients"])
def test_progress_is_called_as_often_as_announced(engine: str) -> None:
    scenario = Scenario(20, ANYONE, epochs=2)
    taken: list[int] = []
    simulate(small(), scenario, engine, 2, progress=lambda: taken.append(1))
    assert len(taken) == progress_steps(small(), scenario, engine, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scenario(0, ANYONE), "devices must be at least 1, got 0"),
        (lambda: Scenario(10**9 + 1, ANYONE), "devices must be at most 1,000,000,000, got 1,000,000,001"),
        (
            lambda: Scenario(5, ANYONE, change=0.5),
            "change needs more than 1 epoch, because it happens between epochs; got epochs = 1",
        ),
        (lambda: Scenario(5, ANYONE, turnover=0.5), "turnover needs more than 1 epoch"),
        (lambda: Scenario(5, ANYONE, withdrawal=0.5), "withdrawal needs more than 1 epoch"),
        (lambda: Scenario(5, ANYONE, change=2), "change must be at least 0 and at most 1, got 2"),
        (
            lambda: Scenario(5, ANYONE, ANYONE),
            "then needs more than 1 epoch, and change or turnover above 0",
        ),
        (
            lambda: simulate(small(), Scenario(5, ANYONE, epochs=9)),
            "epochs must be at most 4, the epochs of small v1; got 9",
        ),
        (lambda: simulate(small(), Scenario(5, ANYONE), "guess"), "engine must be one of tallies, clients"),
        (lambda: simulate(small(), Scenario(5, ANYONE), repetitions=0), "repetitions must be at least 1, got 0"),
        (lambda: simulate(small(), Scenario(10**6, ANYONE), "clients"), "devices must be at most 200,000"),
    ],
)
def test_impossible_arguments_are_errors(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match=message):
        make()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_shows_estimates_and_true_shares(example: Path) -> None:
    one = run(str(example), "--devices", "50000", "--seed", "1")
    assert one == run(str(example), "--devices", "50000", "--seed", "1")
    assert "intervals contain the true value" in one
    assert "covers" in one
    many = run(str(example), "--devices", "50000", "--repetitions", "5")
    assert "coverage" in many
    assert "too few to be published" in run(str(example), "--devices", "500")


def test_the_command_names_the_population(example: Path) -> None:
    """If no file states the true shares, the output says that they are assumed."""
    shown = " ".join(run(str(example), "--devices", "500").split())
    assert (
        "True shares: assumed shape zipf:1 for every question; the shares of frequency_x_returned do not add up"
        in shown
    )
    moved = run(str(example), "--devices", "500", "--epochs", "2", "--then", "uniform", "--change", "0.5")
    assert "; by the last epoch, new answers follow: assumed shape uniform for every question." in " ".join(
        moved.split()
    )


def test_a_note_says_that_permanent_memory_is_ignored(example: Path, tmp_path: Path) -> None:
    """Only with permanent memory and more devices than the tally engine can follow."""
    permanent = 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 7'
    file = tmp_path / "permanent.toml"
    file.write_text(example.read_text(encoding="utf-8").replace('memory = "fresh"', permanent), encoding="utf-8")
    note = (
        "Note: each epoch is simulated independently, because the tally engine can follow permanent memory only for up"
        " to 1,000,000 devices, and not for sue, oue and rappor. Use --engine clients (up to 200,000 devices) to"
        " include it.\n"
    )
    for survey, devices, words in ((file, "2e6", note), (file, "5e4", ""), (example, "2e6", "")):
        done = CliRunner().invoke(main, ["simulate", str(survey), "--devices", devices, "--epochs", "2"])
        assert (done.exit_code, done.stderr) == (0, words)


@pytest.mark.parametrize("command", ["simulate", "tune"])
def test_a_warning_about_permanent_memory_comes_last(example: Path, tmp_path: Path, command: str) -> None:
    file = tmp_path / "permanent.toml"
    for changes, warned in ((3, True), (7, False)):
        permanent = f'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = {changes}'
        file.write_text(example.read_text(encoding="utf-8").replace('memory = "fresh"', permanent), encoding="utf-8")
        done = CliRunner().invoke(main, [command, str(file), "--devices", "5e4"])
        assert done.exit_code == 0
        lines = lag_warnings(Survey.load(file))
        assert bool(lines) == warned
        assert done.stderr.endswith("".join(f"Warning: {line}\n" for line in lines))


def test_if_nothing_is_published_the_output_says_what_to_change(example: Path) -> None:
    shown = run(str(example), "--devices", "50")
    assert "No question has enough reports to be published. Simulate more devices, or lower min_reports." in shown


def test_one_report_is_in_the_singular(example: Path) -> None:
    """One device answers one question."""
    shown = run(str(example), "--devices", "4", "--engine", "clients")
    assert "  1 report\n" in shown
    assert "1 reports" not in shown


def test_a_failure_of_clients_or_collector_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the collector refuses every batch, there is an error instead of a result."""

    def refuse(self: InProcessTransport, *request: object, **options: object) -> Response:
        self.refused += 1
        return Response(400, b"{}")

    monkeypatch.setattr(InProcessTransport, "request", refuse)
    with pytest.raises(SimulationError, match=r"by the collector: \d+; reports accepted: 0; reports counted: 0"):
        simulate(small(), Scenario(20, ANYONE), "clients")


def test_intervals_below_zero_are_shown_and_explained() -> None:
    """A true value of 0 is not in -3.4% to -0.1%; the summary explains negative estimates."""
    one = Outcome("s", 1, "tallies", "q", "2026-W45", "a", 1, 600.0, 0.0, 1, -0.017, -0.034, -0.001, 0.01, 0.0165, 0.0)
    [table] = outcome_tables([one])
    assert table.rows == [["a", "0.0%", "-1.7%", "-3.4% to -0.1%", "no"]]
    assert "Noise makes some estimates of small shares negative" in coverage_summary([one], 0.95)
    assert "Noise" not in coverage_summary([replace(one, estimate=0.5, low=0.4, high=0.6)], 0.95)


def test_a_large_question_shows_only_its_largest_segments() -> None:
    rows = simulate(small("questions_per_device = 2"), Scenario(20_000, Population.from_shape("zipf:1")))
    first = outcome_tables(rows, max_segments=2)[0]
    assert [row[0] for row in first.rows] == ["a", "b"]
    assert first.footnote == "largest 2 segments; use --format csv or json for the other 1"


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


def test_a_mistake_is_one_clear_line(example: Path) -> None:
    for arguments, message in (
        (["--then", "zap.csv"], "'--then': 'zap.csv' is neither a file nor a shape (uniform, zipf:S, geometric:R)"),
        (["--epochs", "40"], "'--epochs': must be at most 26"),
        (["--truth", "missing.json"], "missing.json: cannot be read"),
        (["--engine", "x"], "Invalid value for '--engine'"),
    ):
        result = CliRunner().invoke(main, ["simulate", str(example), "--devices", "500", *arguments])
        assert result.exit_code in (1, 2)
        assert message in result.output
        assert "Traceback" not in result.output


def test_a_definition_can_be_simulated_from_python(example: Path) -> None:
    rows = simulate(Definition.load(example).survey, Scenario(50_000, ANYONE))
    assert {row.published for row in rows} == {1}


def test_rappor_is_simulated_with_its_own_code() -> None:
    """Every estimate is within 4 standard errors of the true share; fails by chance 1 in 3,000; the seed is fixed."""
    text = SMALL.replace("MEMORY", "questions_per_device = 2").replace('id = "one"', f'id = "one"\n{RAPPOR}')
    rows = simulate(Survey.parse(text), Scenario(20_000, ANYONE))
    assert all(abs((row.estimate or 0) - row.truth) < 2.04 * (row.half_width or 0) for row in rows)


@pytest.mark.parametrize("confidence", [0.95, 0.7])
def test_rappor_detects_shares_as_often_as_a_normal_estimate(confidence: float) -> None:
    """Compared with a normal estimate of the same share and error: within 4.5 standard errors; fails by chance 1 in
    10^5."""
    survey = Survey.parse(
        SMALL.replace("MEMORY", "questions_per_device = 2").replace('id = "one"', f'id = "one"\n{RAPPOR}')
    )
    rows = simulate(survey, Scenario(800, ANYONE), repetitions=100, seed=3, confidence=confidence)
    powers = []
    for row in rows[:3]:
        power = float(ndtr(row.truth / (row.error or 1) - ndtri(confidence)))
        # the error is measured to 7%, which changes the power by at most .24 times as much
        assert abs((row.detected or 0) - power) < 4.5 * (power * (1 - power) / 100) ** 0.5 + 0.02
        powers.append(row.detected or 0)
    assert 0 < min(powers) < 1


RAPPOR = 'epsilon = 8.0\nmechanism = { name = "rappor", k = 8, h = 1, m = 16, f = 0.5, p = 0.25, q = 0.75 }'


def test_an_environment_that_disables_clients_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with pytest.raises(SimulationError, match="cannot simulate real clients: DO_NOT_TRACK is set; unset it"):
        simulate(small(), Scenario(5, ANYONE), "clients")
