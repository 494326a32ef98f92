"""The command `hushtally audit`, which checks that the shipped code keeps a survey's epsilon."""

from __future__ import annotations

import json

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.rows import to_csv
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_data, print_text
from hushtally.simulations.audit.auditor import BRANCHES, TRIALS
from hushtally.simulations.audit.auditor import audit as audit_survey
from hushtally.simulations.audit.certificate import Finding
from hushtally.simulations.cli.option_types import Count
from hushtally.simulations.definition import Definition


@click.command("audit", cls=Command)
@click.argument("file")
@click.option(
    "--trials", type=Count(1_000), default=TRIALS, show_default=True, help="Reports of the shipped client per segment."
)
@click.option(
    "--branches",
    type=Count(1),
    default=BRANCHES,
    show_default=True,
    help="Branches to run for exact probabilities; more prove more segments.",
)
@click.option(
    "--seed", type=Count(0), help="Seed of simulated, repeatable randomness; default: the system's randomness."
)
@click.option("--format", "form", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def audit(file: str, trials: int, branches: int, seed: int | None, form: str) -> None:
    """Prove or test that every question of FILE keeps its epsilon.

    Prints a certificate, and exits with 1 if the audit finds a mistake. To prove a bound, the audit runs every branch
    of the shipped code for every segment. If there are too many branches, it runs every branch for some segments and
    random branches for all segments. It also tests the shipped client and the random source. A test can refute a bound,
    but cannot prove it.
    """
    survey = Definition.load(file).survey
    certificate = audit_survey(survey, trials, seed, branches, progress_bar)
    if form == "json":
        print_data(json.dumps(certificate.as_dict(), indent=2, ensure_ascii=False) + "\n")
    elif form == "csv":
        print_data(to_csv(certificate.findings, Finding))
    else:
        print_text(str(certificate))
    if not certificate.holds:
        raise SystemExit(1)
