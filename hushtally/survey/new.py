"""`hushtally survey new`: asks what a new survey needs, and writes it from a template."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief, format_belief
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.output.output_file import require_new_file, require_no_folder, write_file, write_new_file
from hushtally.output.streams import print_text
from hushtally.survey.template import LIFETIME_CEILING, NAMES, Answers, Template

LOWEST_EPSILON = 0.5  # below, an estimate from the min_reports of a template says too little
MOST_WEEKS = 52
LATEST_START = timedelta(weeks=52)  # from this week; a later start is a typing error
SURE = {epsilon: format_belief(belief_bound(PRIOR, epsilon)) for epsilon in (1, 2, 3)}
FILE_NAME, REMEDY = "survey.toml", "use --force to replace it"  # for messages


class Monday(click.ParamType[date]):
    """The first day of a survey: a Monday, or `today` for the Monday of the current week."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The Monday. Fails unless it is in the current week or in the next 52."""
        if isinstance(value, date):
            return value
        first = EpochLength.WEEK.start(utc_today())
        last = first + LATEST_START
        if value.strip() == "today":
            return first
        try:
            day = date.fromisoformat(value.strip())
        except ValueError:
            day = None
        if day is None or day.weekday() or not first <= day <= last:
            self.fail(f"must be a Monday from {first} to {last}, or today, got {value!r}", param, ctx)
        return day


class Epsilon(click.FloatRange):
    """The epsilon of one report, as far as a template is useful with it."""

    def __init__(self) -> None:
        super().__init__(LOWEST_EPSILON, LIFETIME_CEILING)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails if it is outside the range, or not a number, which no comparison finds."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"must be a number from {self.min:g} to {self.max:g}, got {value}", param, ctx)
        return number


class Values(click.ParamType[tuple[str, ...]]):
    """The values of a cohort, separated by commas."""

    name = "values"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The values, without the spaces around them."""
        return value if isinstance(value, tuple) else tuple(part.strip() for part in value.split(","))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--template", "name", type=click.Choice(NAMES), help="The kind of business. Default: shop.")
@click.option("--id", help="The survey's name for machines: a-z, 0-9, '_', '-' and '.'.")
@click.option("--title", help="The title that customers read.")
@click.option("--purpose", help="Why you ask, as customers read it before they agree.")
@click.option("--owner", help="Who answers questions about the survey, such as an e-mail address.")
@click.option(
    "--cohort",
    type=Values(),
    help="The values of the template's cohort, separated by commas: where the app runs. They are sent without noise.",
)
@click.option(
    "--starts",
    type=Monday(),
    help="The first day: a Monday on which the app is ready, or `today` for the current week. Default: next Monday.",
)
@click.option(
    "--weeks",
    type=click.IntRange(1, MOST_WEEKS),
    help="How many weeks the survey runs. In a longer survey, a device answers less often.",
)
@click.option(
    "--epsilon",
    type=Epsilon(),
    help=f"What one report may reveal: an observer who was {PRIOR:.0%} sure of a segment is then at most {SURE[1]} sure"
    f" with 1, {SURE[2]} with 2 and {SURE[3]} with 3. Half the epsilon needs about four times as many devices. A device"
    f" answers as often as a lifetime epsilon of {LIFETIME_CEILING:g} allows.",
)
@click.option("--defaults", is_flag=True, help="Do not ask: use the default of every option that is not given.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def new(file: Path, name: str | None, defaults: bool, force: bool, **given: Any) -> None:
    """Create FILE with a survey to edit.

    On a terminal, asks for every option that is not given. Elsewhere, and with --defaults, uses the template's values.
    A device of the new survey reveals at most a lifetime epsilon of 3.
    """
    if not force:
        require_new_file(file, FILE_NAME, REMEDY)
    asks = not defaults and sys.stdin.isatty() and sys.stderr.isatty()
    options = {param.name: param for param in new.params}
    if asks:
        print_text("Press Enter to accept the value in brackets.\n", err=True)
    if name is None:
        name = _ask_template(options["name"]) if asks else NAMES[0]
    template = Template.load(name)
    answers = template.defaults(EpochLength.WEEK.next(utc_today()))
    for field, value in given.items():
        if value is not None:
            answers = _checked(template, answers, options[field], value)
    for field in (field for field, value in given.items() if value is None and asks):
        answers = _ask(template, answers, options[field])
    text = template.fill(answers)
    if force:
        require_no_folder(file, FILE_NAME)
        write_file(file, text)
    else:
        write_new_file(file, text, FILE_NAME, REMEDY)
    print_text(_result(file, template, Survey.parse(text)), err=True)


def _ask_template(option: click.Parameter) -> str:
    """Ask for a template until one of them is named."""
    print_text("Which template is closest to your business?", err=True)
    for name in NAMES:
        print_text(f"  {name:<6} {Template.load(name).defaults(utc_today()).title}", err=True)
    chosen: str = click.prompt("Template", default=NAMES[0], type=option.type, show_choices=False, err=True)
    return chosen


def _ask(template: Template, answers: Answers, option: click.Parameter) -> Answers:
    """Ask for one answer until it is valid."""
    assert isinstance(option, click.Option)
    assert option.name is not None
    default = getattr(answers, option.name)
    label = template.cohort if option.name == "cohort" else option.name
    print_text(f"\n{option.help}", err=True)
    found: Answers = click.prompt(
        label.capitalize(),
        default=", ".join(default) if isinstance(default, tuple) else str(default),
        value_proc=lambda typed: _checked(template, answers, option, option.type.convert(typed, option, None)),
        err=True,
    )
    return found


def _checked(template: Template, answers: Answers, option: click.Parameter, value: Any) -> Answers:
    """The answers with one more; BadParameter if a survey may not contain it."""
    assert option.name is not None
    changed = replace(answers, **{option.name: value})
    try:
        template.fill(changed)
    except SurveyError as error:
        raise click.BadParameter(error.problems[0].message, param=option) from None
    return changed


def _result(file: Path, template: Template, survey: Survey) -> str:
    """What was written, what an observer can conclude, what the app records, and what comes next."""
    lifetime, quoted = survey.lifetime_epsilon, shlex.quote(str(file))
    lines = [
        f"wrote {file}: {survey.name}, from {survey.starts} to {survey.ends}",
        f"Lifetime epsilon {lifetime:g}: an observer of all reports of a device who was {PRIOR:.0%} sure of a segment"
        f" is then {describe_belief(belief_bound(PRIOR, lifetime))}.",
        "Edit the questions until they are yours. For these, the app records:",
        *(f"  {call}" for call in template.records),
        "Next:",
        f"  hushtally survey check {quoted}",
        f"  hushtally survey explain {quoted}",
        f"  hushtally tune {quoted} --devices 250000 --target 0.05 --ceiling {LIFETIME_CEILING:g}",
    ]
    return "\n".join(lines)
