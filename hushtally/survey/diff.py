"""What changed between two surveys, in words, and whether customers have to be asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass

import click

from hushtally.client_sdk.explain.explanation import tells_changes
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import differences
from hushtally.survey.change import MEANING, Change, Touches, differ
from hushtally.survey.diff_segments import changed_form


@dataclass(frozen=True)
class Difference:
    """Two surveys beside each other."""

    old: str
    new: str
    changes: tuple[Change, ...]
    needs_consent: bool
    reveals_more: bool
    consent: str
    together: str

    def as_dict(self) -> dict[str, object]:
        """The same as JSON-ready data."""
        return asdict(self)


def compare(old: Survey, new: Survey) -> Difference:
    """What changed from `old` to `new`, and what that means for the consent that was given to `old`."""
    found = tuple(_changes(old, new))
    if not found and old.digest != new.digest:
        places = (line.partition(": ")[0] for line in differences(old.resolved, new.resolved))
        found = tuple(Change(place, "as it was", "as it is", Touches.OTHER) for place in places)
    more = any(change.touches is Touches.MORE for change in found)
    consent = _consent(old, new, more)
    return Difference(old.name, new.name, found, old.digest != new.digest, more, consent, _together(old, new))


def _consent(old: Survey, new: Survey, more: bool) -> str:
    if old.digest == new.digest:
        return "Nothing changed: consent stands."
    if old.id != new.id:
        return "New consent is needed: it is another survey."
    asked = (
        "New consent is needed, unless the app keeps it (keep_consent=True): customers agree to exactly the survey that"
        " they were shown."
    )
    if more:
        asked = (
            "New consent is needed: the new survey reveals more. An app with keep_consent=True would carry the old"
            " consent over to it without asking: drop keep_consent from it, or ask again."
        )
    if old.version == new.version:
        return f"{asked} Raise the version: a collector refuses another survey under the same one."
    if new.version < old.version:
        return f"{asked} The version went down: devices that had the newer one stay silent."
    return f"{asked} Devices begin anew with it."


def _together(old: Survey, new: Survey) -> str:
    """What a device may reveal that answers one after the other: the epsilons of all its surveys add up."""
    if old.digest == new.digest:
        return ""
    ours, theirs = old.lifetime_epsilon, new.lifetime_epsilon
    about = " of what was answered" if tells_changes(old) or tells_changes(new) else ""
    return (
        f"A device that answers both may reveal up to epsilon {ours + theirs:g}{about} ({ours:g} + {theirs:g}), or the"
        " app's max_lifetime_epsilon where that is lower."
    )


def _changes(old: Survey, new: Survey) -> Iterator[Change]:
    yield from _plain(old, new)
    yield from _spending(old, new)
    yield from _members("cohort", _cohorts(old), _cohorts(new), more=_finer(old, new))
    yield from _grows("days kept on the device", old.longest_window, new.longest_window)
    yield from _members("kept on the device,", _kept(old), _kept(new))
    yield from _members("signal", _signals(old), _signals(new))
    yield from _questions(old, new)


def _plain(old: Survey, new: Survey) -> Iterator[Change]:
    yield from differ("id", old.id, new.id)
    yield from differ("version", old.version, new.version, Touches.NOTHING)
    yield from differ("title", old.title, new.title, Touches.NOTHING)
    yield from differ("purpose", old.purpose, new.purpose)
    yield from differ("owner", old.owner, new.owner)
    yield from differ("starts", old.starts, new.starts)
    yield from differ("ends", old.ends, new.ends)
    yield from differ("epoch", old.epoch, new.epoch)
    yield from _grows("retention_days", old.retention_days, new.retention_days)
    yield from _grows("min_reports", -old.min_reports, -new.min_reports, shown=lambda value: f"{-value:,}")


def _spending(old: Survey, new: Survey) -> Iterator[Change]:
    ours, theirs = old.privacy, new.privacy
    yield from _grows("epsilon", ours.epsilon, theirs.epsilon)
    yield from _grows("epsilon_permanent", ours.epsilon_permanent or 0, theirs.epsilon_permanent or 0, shown=_or_none)
    yield from _grows("questions_per_device", ours.questions_per_device, theirs.questions_per_device)
    yield from _grows("answers_every", -ours.answers_every, -theirs.answers_every, shown=lambda value: f"{-value}")
    # permanent memory does not hide when an answer changed, whatever its epsilon
    yield from differ("memory", ours.memory, theirs.memory, Touches.MORE if new.permanent else Touches.LESS)
    yield from _grows("changes", ours.changes or 0, theirs.changes or 0)
    yield from _grows("lifetime epsilon", old.lifetime_epsilon, new.lifetime_epsilon)


def _questions(old: Survey, new: Survey) -> Iterator[Change]:
    ours = {question.id: question for question in old.questions}
    theirs = {question.id: question for question in new.questions}
    yield from _members("question", dict.fromkeys(ours, "asked"), dict.fromkeys(theirs, "asked"))
    for id in (id for id in ours if id in theirs):
        before, after, what = ours[id], theirs[id], f"question {id}"
        if before.epsilon != old.privacy.epsilon or after.epsilon != new.privacy.epsilon:
            yield from _grows(f"{what}, epsilon", before.epsilon, after.epsilon)
        if before.only_crossed != after.only_crossed:
            states = ("asked on its own", "asked only together with others")
            touches = Touches.LESS if after.only_crossed else Touches.MORE
            yield Change(what, states[before.only_crossed], states[after.only_crossed], touches)
        yield from differ(f"{what}, title", before.title or "none", after.title or "none")
        yield from changed_form(what, before.form, after.form)
        touches = Touches.FOLLOWS if before.automatic and after.automatic else Touches.OTHER
        yield from differ(f"{what}, mechanism", before.mechanism.label, after.mechanism.label, touches)
    common = [[id for id in one if id in ours and id in theirs] for one in (ours, theirs)]
    if common[0] != common[1]:
        yield Change("order of the questions", ", ".join(common[0]), ", ".join(common[1]), Touches.NOTHING)


def _cohorts(survey: Survey) -> dict[str, str]:
    return {name: f"sent in the clear as {', '.join(values)}" for name, values in survey.cohorts.items()}


def _finer(old: Survey, new: Survey) -> set[str]:
    """The cohorts with new values."""
    return {name for name, values in new.cohorts.items() if set(values) - set(old.cohorts.get(name, ()))}


def _kept(survey: Survey) -> dict[str, str]:
    return {one.source: "the day" if one.field is None else "every value" for one in survey.signals.values()}


def _signals(survey: Survey) -> dict[str, str]:
    return {
        name: f"{one.function} of {one.source} over {counted(one.days, 'day')}" for name, one in survey.signals.items()
    }


def _members(kind: str, old: Mapping[str, str], new: Mapping[str, str], more: Collection[str] = ()) -> Iterator[Change]:
    """What came, what went, and what is another; `more`: those where that reveals more."""
    for name in {**old, **new}:
        if name not in new:
            yield Change(f"{kind} {name}", old[name], "gone", Touches.LESS)
        elif name not in old:
            yield Change(f"{kind} {name}", "none", new[name], Touches.MORE)
        else:
            touches = Touches.MORE if name in more else Touches.OTHER
            yield from differ(f"{kind} {name}", old[name], new[name], touches)


def _grows(
    what: str, old: float, new: float, shown: Callable[[float], str] = lambda value: f"{value:g}"
) -> Iterator[Change]:
    """A change that reveals more as the figure grows."""
    if old != new:
        yield Change(what, shown(old), shown(new), Touches.MORE if new > old else Touches.LESS)


def _or_none(value: float) -> str:
    return f"{value:g}" if value else "none"


def report(difference: Difference) -> str:
    """The difference as text for a terminal."""
    changes = sorted(difference.changes, key=lambda change: list(Touches).index(change.touches))
    if not changes:
        return difference.consent
    privacy = sum(change.touches not in (Touches.FOLLOWS, Touches.NOTHING) for change in changes)
    number = counted(len(changes), "change")
    heading = f"{difference.old} -> {difference.new}: {number}, {privacy or 'none'} about privacy"
    found = {change.touches for change in changes}
    meanings = [f"{touches}: {meaning}." for touches, meaning in MEANING.items() if touches in found]
    told = [*meanings, difference.consent, difference.together]
    return "\n".join([heading, *(f"  {change}" for change in changes), *told])


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the change needs new consent.")
def diff(old: str, new: str, shape: str, exit_code: bool) -> None:
    """Say what changed from the survey file OLD to NEW, and whether it needs new consent.

    Customers agree to one digest, so what changes it needs new consent: another value of any field, also of the version
    or a title, but not comments, spaces or the order of fields. With --exit-code it is an exit with 1, as is a file
    that is wrong; an app with keep_consent=True does not ask again, whatever the exit.
    """
    difference = compare(Survey.load(old), Survey.load(new))
    click.echo(json.dumps(difference.as_dict(), indent=2) if shape == "json" else report(difference))
    if exit_code and difference.needs_consent:
        raise click.exceptions.Exit(1)
