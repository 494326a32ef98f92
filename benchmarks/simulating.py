"""Time, memory and correctness of `tune`, `simulate` and `audit`, compared with their targets.

One line per target states what was measured, the target, and whether it is met. The benchmark takes about three minutes
on one core. Every random figure has a fixed seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from time import perf_counter

import numpy as np

from hushtally.client_sdk.mechanisms import build, choose
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import ONE_SIDED, detectable_share, detection_count, power
from hushtally.simulations.audit.auditor import audit
from hushtally.simulations.definition import Definition
from hushtally.simulations.population.population import Population
from hushtally.simulations.sampling import draw_support_counts
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import simulate
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.forecast import forecast
from hushtally.simulations.tune.tuning import tune

ANYONE = Population.from_shape("zipf:1")
TABLE = {
    (0.5, 0.1): 8_480, (0.5, 0.05): 33_840, (0.5, 0.01): 844_337,
    (1.0, 0.1): 1_967, (1.0, 0.05): 7_783, (1.0, 0.01): 192_781,
    (2.0, 0.1): 358, (2.0, 0.05): 1_363, (2.0, 0.01): 32_540,
    (4.0, 0.1): 33, (4.0, 0.05): 100, (4.0, 0.01): 1_720,
}  # fmt: skip
TRIALS = 200_000  # reports of the client per segment
MECHANISMS = ("direct", "subset", "affine", "projective", "sue", "oue")


def definition() -> Definition:
    return Definition.parse(files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8"))


def report(what: str, measured: str, target: str, met: bool) -> None:
    print(f"{what:<58} {measured:>24}   {target:<28} {'met' if met else 'MISSED'}", flush=True)


def in_process(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds and peak memory in MB of some work in a separate process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def run() -> None:
        begin = perf_counter()
        work()
        theirs.send((perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    process = context.Process(target=run)
    process.start()
    seconds, memory = ours.recv()
    process.join()
    return seconds, memory


def with_segments(segments: int) -> Survey:
    """The example survey with one question of this many segments, which every device answers in every epoch."""
    survey = definition().survey
    question = replace(survey.asked[0], mechanism=build("auto", {}, segments, 1.0))
    form = replace(question.form, rules=question.form.rules[:1] * (segments - 1))  # type: ignore[attr-defined, type-var]
    privacy = replace(survey.privacy, answers_every=1)
    return replace(survey, questions=(replace(question, form=form),), privacy=privacy)


def speed() -> None:
    seconds, _ = in_process(lambda: tune(definition(), Constraints(50_000), ANYONE))
    report("tune, example survey, default grid", f"{seconds:.2f} s", "at most 5 s", seconds <= 5)
    billion = Scenario(10**9, ANYONE)
    for name, survey in (
        ("example survey", definition().survey),
        ("64 segments", with_segments(64)),
        ("1,024 segments", with_segments(1_024)),
    ):
        seconds, memory = in_process(lambda survey=survey: simulate(survey, billion))  # type: ignore[misc]
        met = seconds <= 10 and memory < 1_000
        report(
            f"simulate 10^9 devices, engine tallies, {name}",
            f"{seconds:.1f} s, {memory:.0f} MB",
            "10 s, under 1 GB",
            met,
        )
    seconds, _ = in_process(lambda: simulate(definition().survey, Scenario(10_000, ANYONE), "clients"))
    report("simulate 10,000 devices, engine clients", f"{seconds:.1f} s", "at most 60 s", seconds <= 60)


def correctness() -> None:
    survey = definition().survey
    measured = simulate(survey, Scenario(200_000, ANYONE), repetitions=200)
    forecasts = {
        (question.id, segment): half
        for question in survey.asked
        for segment, half in forecast(survey, question, Constraints(200_000), ANYONE).half_widths.items()
    }
    off = max(abs((row.half_width or 0) / forecasts[row.question, row.segment] - 1) for row in measured)
    report("forecast half-widths compared with simulated ones", f"off by at most {off:.2%}", "3%", off <= 0.03)
    errors = {
        (epsilon, share): (detectable_share(choose(16, epsilon).channel, reports) or 1) / share - 1
        for (epsilon, share), reports in TABLE.items()
    }
    worst = max(abs(errors[key]) for key, reports in TABLE.items() if reports > 100)
    what = "detectable share with the reports of the planning table"
    report(what, f"off by at most {worst:.1%}", "3%", worst <= 0.03)
    for key in ((4.0, 0.1), (4.0, 0.05)):
        print(f"    formula too optimistic: epsilon {key[0]:g}, share {key[1]:.0%}: off by {errors[key]:.0%}")
    random = np.random.default_rng(1)
    for epsilon, share in ((1.0, 0.1), (2.0, 0.05), (4.0, 0.05)):
        mechanism = choose(16, epsilon)
        n = TABLE[epsilon, share]
        shares, exact = np.array([share, *[(1 - share) / 15] * 15]), power(mechanism.channel, share, n)
        least = detection_count(mechanism.channel, n, ONE_SIDED)
        drawn = (draw_support_counts(mechanism, random.multinomial(n, shares), random)[0] for _ in range(1_000))
        detected = sum(int(one >= least) for one in drawn) / 1_000
        errors_off = abs(detected - exact) / (exact * (1 - exact) / 1_000) ** 0.5
        what = f"power at {n:,} reports, epsilon {epsilon:g}, share {share:.0%}"
        report(what, f"{detected:.3f}, exact {exact:.3f}", "within 4 standard errors", errors_off <= 4)


def audits() -> None:
    survey = with_segments(16)
    for name in MECHANISMS:
        mechanism = build(name, {}, 16, 1.0)
        asked = replace(survey, questions=(replace(survey.asked[0], mechanism=mechanism),))
        begin = perf_counter()
        findings = {finding.bound: finding for finding in audit(asked, TRIALS, seed=1).findings}
        seconds = perf_counter() - begin
        exact, tested = findings["one report"], findings["the client"]
        off = abs((exact.epsilon or 0) - 1)
        met = off <= 1e-9 and exact.holds and exact.proven
        report(f"audit {name}, 16 segments, exact epsilon", f"1 - {off:.0e} ({seconds:.0f} s)", "1 within 1e-9", met)
        bound = tested.lower_bound or 0.0
        met = 0.95 <= bound <= 1 and tested.holds
        report(f"audit {name}, {TRIALS:,} client reports", f"at least {bound:.4f}", ".95 to 1", met)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    speed()
    correctness()
    audits()


if __name__ == "__main__":
    main()
