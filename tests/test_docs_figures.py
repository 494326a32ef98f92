"""Figures on pages are what the code computes: by the formulas, or by seeded simulations."""

import json
import math
import re

import numpy as np
import pytest
from click.testing import CliRunner

from hushtally import Survey
from hushtally.aggregator.intervals import share_interval, simultaneous
from hushtally.cli import main
from hushtally.client_sdk.explain.belief import belief_bound, format_belief
from hushtally.client_sdk.mechanisms import (
    Affine,
    Direct,
    Permanent,
    Projective,
    Subset,
    Weights,
    choose,
    optimal_mean_variance,
)
from hushtally.simulations.population.population import Population
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import simulate
from page_text import customers, prose, read, table

CUSTOMERS = customers()


def test_the_readme_states_what_tune_computes_for_its_scale(tmp_path):
    """Half the width of the widest interval of a question with 4 segments, answered by every device each week."""
    readme, file = read("README.md"), tmp_path / "scale.toml"
    fresh = LASTING.replace('memory = "permanent"\nepsilon_permanent = 4.0\nchanges = 1\n', "")
    file.write_text(fresh, encoding="utf-8")
    epsilons = [float(one) for one in re.findall(r"epsilon (\d[.\d]*) \|", readme)]
    for devices, *stated in table(readme, "## The scale it needs"):
        options = ["--devices", devices, "--format", "json", *(f"--epsilon={epsilon}" for epsilon in epsilons)]
        done = CliRunner().invoke(main, ["tune", str(file), *options])
        assert done.exit_code == 0, done.output
        rows = json.loads(done.stdout)[: len(epsilons)]
        assert [row["epsilon"] for row in rows] == epsilons
        assert stated == [f"±{100 * row['half_width']:.1f}" for row in rows], devices


def test_the_page_on_privacy_states_the_beliefs():
    page = read("docs/explanation/privacy.md")
    header, _, row = re.search(r"^\| ε \|.*\n.*\n.*$", page, re.MULTILINE)[0].splitlines()
    epsilons = [float(cell) for cell in header.strip("| ").split("|")[1:]]
    assert [cell.strip() for cell in row.strip("| ").split("|")[1:]] == [
        format_belief(belief_bound(0.1, epsilon)) for epsilon in epsilons
    ]


def test_the_page_on_mechanisms_states_the_automatic_choice():
    """The mechanism and its distance from the optimum, in every cell."""
    short = {"direct": "D", "subset": "S{}", "affine": "A({})", "projective": "P({})"}
    for epsilon, *cells in table(read("docs/explanation/mechanisms.md"), "| epsilon |"):
        for domain, cell in zip((8, 16, 32, 64, 128, 256, 1_024, 4_096, 16_384), cells, strict=True):
            design = choose(domain, float(epsilon))
            name = short[design.name].format(",".join(map(str, design.parameters.values())))
            ratio = design.mean_variance() / optimal_mean_variance(domain, float(epsilon))
            assert cell == f"{name} {ratio:.3f}"


def test_the_page_on_mechanisms_states_what_the_formulas_give():
    """p and q of the designs from e, d, w, r and t, as the table has them."""
    e, d = math.exp(1), 16
    near = pytest.approx
    direct, subset, affine, projective = (one.best(d, 1.0).channel for one in (Direct, Subset, Affine, Projective))
    assert (direct.p, direct.q) == (near(e / (e + d - 1)), near(1 / (e + d - 1)))
    for channel, size, w in (
        (subset, d, Subset.best(d, 1.0).w),
        (affine, Affine.best(d, 1.0).r, Affine.best(d, 1.0).w),
    ):
        total = w * e + size - w
        assert channel.p == near(w * e / total)
        assert channel.q == near((e * w * (w - 1) + (size - w) * w) / ((size - 1) * total))
    r, t = Projective.best(d, 1.0).r, Projective.best(d, 1.0).t
    symbols, c, i = ((r**k - 1) / (r - 1) for k in (t, t - 1, t - 2))
    p0 = 1 / ((e - 1) * c + symbols)
    assert (projective.p, projective.q) == (near(e * c * p0), near(p0 * ((e - 1) * i + c)))


def test_the_page_on_mechanisms_states_how_often_a_permanent_answer_is_guessed():
    ep, page = math.exp(2), read("docs/explanation/mechanisms.md")
    assert f"{ep / (4 * ep + 12):.3f} for `subset` with w = 4, d = 16" in page
    assert f"{ep / (ep + 15):.2f} for `direct`" in page
    channel = Permanent.of(Subset(16, Weights.of(1.0), 4), 2.0).channel
    assert f"epsilon 1: {float(channel.respondents_variance(1 / 16, 1)):.2f} here" in page


def test_the_page_on_threats_states_what_forged_reports_do():
    """Points of a share for each percent of forged reports that all aim at one segment."""

    def points(mechanism):
        channel = mechanism.channel
        return f"{max(1 - channel.q, channel.q) / channel.gain:.1f}"

    page = prose("docs/explanation/threat-model.md")
    many = [
        round(float(points(Direct.best(1_024, 1.0)))),
        points(choose(1_024, 1.0)),
        points(Projective.best(1_024, 1.0)),
    ]
    words = "1,024 values at epsilon 1: direct {}, OUE and subset 3.2, affine {}, projective {};"
    assert words.format(*many) in page
    assert f"{(1 - 1 / (math.e + 1)) / (1 / 2 - 1 / (math.e + 1)):.1f}" == "3.2"  # OUE
    few = [points(one.best(16, 1.0)) for one in (Direct, Subset)]
    assert "16 values at epsilon 1: direct {}, subset {}.".format(*few) in page


def test_the_page_on_statistics_states_how_many_reports_detect_a_share():
    """By the page's formula, where that is what it gives."""
    for epsilon, *cells in table(read("docs/explanation/statistics.md"), "| epsilon | f = 10%"):
        channel = choose(16, float(epsilon)).channel
        for share, cell in zip((0.1, 0.05, 0.01), cells, strict=True):
            rate = channel.observed(share)
            spread = 1.6449 * math.sqrt(channel.q * (1 - channel.q)) + 0.8416 * math.sqrt(rate * (1 - rate))
            reports = (spread / (channel.gain * share)) ** 2
            if reports >= 500:
                assert int(cell.replace(",", "")) == pytest.approx(reports, rel=1e-3)


def test_the_page_on_estimates_says_how_often_picked_segments_are_missed():
    """The largest estimate of 16 equal shares, over 4,000 seeded runs: the figures that the page has."""
    [mechanism] = Direct.candidates(16, 1.0, 16)
    largest = np.random.default_rng(1).multinomial(3_220, np.full(16, 1 / 16), 4_000).max(axis=1)

    def missed(confidence):
        low, high = share_interval(mechanism.channel, largest, 3_220, confidence)
        return round(100 * np.mean((low > 1 / 16) | (high < 1 / 16)))

    words = "estimate missed (\\d+) times in 100, and the interval from `simultaneous` missed (\\d+) times"
    stated = re.search(words, prose("docs/howto/read-estimates.md"))
    assert (missed(0.95), missed(simultaneous(0.95, 16))) == (int(stated[1]), int(stated[2]))


def drawn_weeks(epsilon, holders, reports, random):
    """Estimates of a share, one row a week, and how far their intervals reach below and above; reports: a column."""
    [mechanism] = Direct.candidates(4, epsilon, 4)
    channel = mechanism.channel
    supporting = random.binomial(holders, channel.p) + random.binomial(reports - holders, channel.q)
    shares = channel.debias(supporting, reports)
    ends = [share_interval(channel, each, int(n), 0.95) for each, n in zip(supporting, reports.ravel(), strict=True)]
    return shares, shares - [end.low for end in ends], [end.high for end in ends] - shares


def held(estimate, below, above, truth):
    """Times in 100, as the page writes it."""
    return f"{100 * np.mean((estimate - below <= truth) & (truth <= estimate + above)):.1f}"


def answered_once(x, n, mean):
    """How far the mean of weeks reaches if no device answers in two of them."""
    return np.sqrt(np.sum(n**2 * x**2, axis=0)) / n.sum()


def answered_again(x, n, mean):
    share = np.clip(mean, 0, 1)
    return np.sqrt(answered_once(x, n, mean) ** 2 + 3.84 * share * (1 - share) / n.mean())


def answered_anyhow(x, n, mean):
    return np.sum(n * x, axis=0) / n.sum()


def stated_on_estimates(words):
    """The figures that stand in these words of the page, where they say #."""
    found = re.search(re.escape(words).replace(r"\#", r"(-?\d+\.\d)"), prose("docs/howto/read-estimates.md"))
    assert found, words
    return list(found.groups())


def test_the_page_on_estimates_says_how_to_compare_and_to_add_up():
    """`once` in both weeks of the page, 40,000 seeded runs: how often its intervals of difference and mean hold."""
    random = np.random.default_rng(1)
    weeks = ("2026-W47", "2026-W48")
    reports = np.array([[sum(sum(CUSTOMERS[key]) for key in CUSTOMERS if key[0] == week)] for week in weeks])
    truth = np.array([[sum(CUSTOMERS[key][1] for key in CUSTOMERS if key[0] == week)] for week in weeks]) / reports
    shares, below, above = drawn_weeks(1.0, random.binomial(reports, truth, (2, 40_000)), reports, random)
    reach = np.hypot(below[0], above[1]), np.hypot(above[0], below[1])
    difference = held(shares[0] - shares[1], *reach, truth[0] - truth[1])
    mean, expected = (np.average(one, axis=0, weights=reports.ravel()) for one in (shares, truth))
    pooled = held(mean, *(answered_once(x, reports, mean) for x in (below, above)), expected)
    words = (
        "the interval of the difference of `once` contained the true difference # times in 100, and the interval of the"
        " mean contained the true mean # times"
    )
    assert [difference, pooled] == stated_on_estimates(words)


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_the_page_on_estimates_adds_up_devices_that_answer_again(epsilon):
    """The same 3,220 customers in 12 weeks, 20,000 seeded runs: the figures of the page if none changes; if a fifth or
    all are drawn anew each week its two safe intervals hold more than 94 times in 100 as well."""
    random, n = np.random.default_rng(2), np.full((12, 1), 3_220)
    for drawn_anew in (0, 0.2, 1):
        holders = [random.binomial(3_220, 0.25, 20_000)]
        while len(holders) < len(n):
            out, others = (random.binomial(some, drawn_anew) for some in (holders[-1], 3_220 - holders[-1]))
            holders.append(holders[-1] - out + random.binomial(out + others, 0.25))
        shares, *reaches = drawn_weeks(epsilon, np.array(holders), n, random)
        mean = shares.mean(axis=0)
        rules = (answered_once, answered_again, answered_anyhow)
        found = [held(mean, *(rule(x, n, mean) for x in reaches), 0.25) for rule in rules]
        assert min(map(float, found[1:])) > 94
        if not drawn_anew:
            words = "#, # and # times in 100 at epsilon 1, and #, # and # times at epsilon 4"
            assert found == stated_on_estimates(words)[slice(3) if epsilon == 1 else slice(3, 6)]


def test_the_page_on_estimates_compares_customers_who_alternate():
    """Half are in the segment in one week, the others in the next, 20,000 seeded runs: the figures of the page."""
    random, n, found = np.random.default_rng(3), np.full((2, 1), 3_220), []
    for add in (np.hypot, np.add):
        for epsilon in (1.0, 4.0):
            first = random.binomial(3_220, 0.5, 20_000)
            shares, below, above = drawn_weeks(epsilon, np.array([first, 3_220 - first]), n, random)
            reach = add(below[0], above[1]), add(above[0], below[1])
            found.append(held(shares[0] - shares[1], *reach, 0))
    words = (
        "contained the difference # times at epsilon 1 and # times at epsilon 4, and x + y contained it # and # times"
    )
    assert found == stated_on_estimates(words)


LASTING = """
id = "lasting"
version = 1
title = "T"
purpose = "P is to count things."
owner = "insights@stream.example"
starts = 2026-11-02
ends = 2027-01-24
[privacy]
epsilon = 2.0
memory = "permanent"
epsilon_permanent = 4.0
changes = 1
[signals]
views = { count = "view", days = 30 }
[[questions]]
id = "amount"
segments = [
  { id = "a", when = "views == 0" }, { id = "b", when = "views <= 3" }, { id = "c", when = "views <= 9" }, { id = "d" },
]
"""


@pytest.mark.slow
def test_the_page_on_estimates_says_when_permanent_memory_falls_behind(tmp_path):
    """By 100 simulated runs: with fewer `changes` than customers make the interval misses always, or else as promised.

    Of the latter 89 of 100 is the least that comes of .95 (chance of fewer 1 in 200; the seed is fixed).
    """
    held_in = {}
    for changes in (1, 3):
        survey = Survey.parse(LASTING.replace("changes = 1", f"changes = {changes}"))
        before, after = (tmp_path / "before.json", tmp_path / "after.json")
        before.write_text(json.dumps({"amount": {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}}), encoding="utf-8")
        after.write_text(json.dumps({"amount": {"a": 0.2, "b": 0.3, "c": 0.25, "d": 0.25}}), encoding="utf-8")
        populations = [Population.load(file, survey) for file in (before, after)]
        moving = simulate(survey, Scenario(5_000, *populations, 12, change=0.25), repetitions=100)
        still = simulate(survey, Scenario(5_000, populations[0], epochs=12), repetitions=100)
        assert min(row.coverage for row in still[-4:]) >= 0.89
        last = moving[-4]
        held_in[changes] = f"{100 * last.coverage:.0f}"
        if changes == 1:
            words = (
                "fell to #%. In week 12 the mean estimate was #%, and its interval contained the true share in 0 runs"
            )
            assert [f"{100 * one:.1f}" for one in (last.truth, last.estimate)] == stated_on_estimates(words)
    assert held_in[1] == "0"
    words = f"With room for all four answers it contained the true share in {held_in[3]} runs."
    assert words in prose("docs/howto/read-estimates.md")
