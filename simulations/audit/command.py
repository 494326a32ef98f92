"""`hushtally audit`: whether the code that ships keeps a survey's epsilon."""

from __future__ import annotations

import json

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.rows import to_csv
from hushtally.simulations.audit.auditor import METHODS, TRIALS
from hushtally.simulations.audit.auditor import audit as audit_survey
from hushtally.simulations.audit.certificate import Finding
from hushtally.simulations.cli.option_types import Count
from hushtally.simulations.cli.progress import progress
from hushtally.simulations.definition import Definition


@click.command("audit", cls=Command)
@click.argument("file")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="Prove by running every branch of the code, watch the shipped client, or prove where that is possible.",
)
@click.option("--trials", type=Count(1_000), default=TRIALS, show_default=True, help="Reports per value when watching.")
@click.option("--seed", type=Count(0), help="Watch with simulated randomness that can be repeated.")
@click.option("--format", "form", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def audit(file: str, method: str, trials: int, seed: int | None, form: str) -> None:
    """Prove or test that every question of FILE keeps its epsilon; ends with 1 if one does not.

    Prints a certificate. A bound is proven by running every branch of the shipped code or, where there are too many,
    tested on the reports that the shipped client sends, which can refute it but not prove it.
    """
    survey = Definition.load(file).survey
    certificate = audit_survey(survey, method, trials, seed, progress=progress)
    if form == "json":
        click.echo(json.dumps(certificate.as_dict(), indent=2, ensure_ascii=False))
    elif form == "csv":
        click.echo(to_csv(certificate.findings, Finding), nl=False)
    else:
        click.echo(certificate)
    if not certificate.holds:
        raise SystemExit(1)
