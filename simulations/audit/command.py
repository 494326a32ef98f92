"""The command `hushtally audit`, which tests whether the shipped code satisfies a survey's epsilon."""

from __future__ import annotations

import json

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.rows import to_csv
from hushtally.simulations.audit.auditor import METHODS, TRIALS
from hushtally.simulations.audit.auditor import audit as audit_survey
from hushtally.simulations.audit.certificate import Finding
from hushtally.simulations.cli.option_types import Count
from hushtally.simulations.cli.progress import progress_bar
from hushtally.simulations.definition import Definition


@click.command("audit", cls=Command)
@click.argument("file")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="enumeration: prove the bounds with every branch of the code. statistics: test the reports of the shipped"
    " client. auto: enumeration where possible, else statistics.",
)
@click.option(
    "--trials", type=Count(1_000), default=TRIALS, show_default=True, help="Reports per value of a statistical test."
)
@click.option("--seed", type=Count(0), help="Test with simulated randomness; equal seeds give equal results.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="Print a certificate for people, or JSON or CSV for programs.",
)
def audit(file: str, method: str, trials: int, seed: int | None, form: str) -> None:
    """Prove or test that every question of FILE satisfies its epsilon.

    Prints a certificate. The exit status is 1 if a question does not. A proof runs every branch of the shipped code.
    If there are too many branches, a statistical test of the shipped client's reports can refute the epsilon, but
    cannot prove it.
    """
    survey = Definition.load(file).survey
    certificate = audit_survey(survey, method, trials, seed, progress=progress_bar)
    if form == "json":
        click.echo(json.dumps(certificate.as_dict(), indent=2, ensure_ascii=False))
    elif form == "csv":
        click.echo(to_csv(certificate.findings, Finding), nl=False)
    else:
        click.echo(certificate)
    if not certificate.holds:
        raise SystemExit(1)
