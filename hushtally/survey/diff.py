"""The differences between two surveys, and whether customers must be asked for consent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass

import click

from hushtally.client_sdk.explain.disclosure import reveals_changes
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import differences
from hushtally.output.streams import print_data, print_text
from hushtally.survey.change import MEANING, Change, Effect, compare_values
from hushtally.survey.diff_segments import compare_forms


@dataclass(frozen=True)
class Difference:
    """The comparison of two surveys.

    old, new: id and version. changes: every change. needs_consent: whether the digests differ. reveals_more: whether
    any change reveals more. consent: whether the consent to the old survey is still valid, in words. together: what a
    device that answers both surveys can reveal, in words.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    needs_consent: bool
    reveals_more: bool
    consent: str
    together: str

    def as_dict(self) -> dict[str, object]:
        """The comparison as JSON-ready data."""
        return asdict(self)


def compare(old: Survey, new: Survey) -> Difference:
    """Compare two surveys, and decide if the consent to `old` is still valid for `new`."""
    changes = tuple(_changes(old, new))
    if not changes and old.digest != new.digest:
        places = (line.partition(": ")[0] for line in differences(old.resolved, new.resolved))
        changes = tuple(Change(place, "old value", "new value", Effect.PRIVACY) for place in places)
    reveals_more = any(change.effect is Effect.MORE for change in changes)
    consent = _consent(old, new, reveals_more)
    return Difference(old.name, new.name, changes, old.digest != new.digest, reveals_more, consent, _together(old, new))


def _consent(old: Survey, new: Survey, reveals_more: bool) -> str:
    if old.digest == new.digest:
        return "Nothing changed: consent to the old survey is consent to the new one."
    if old.id != new.id:
        return "New consent is needed: this is another survey."
    if reveals_more:
        needed = (
            "New consent is needed: the new survey reveals more. An app with keep_consent=True would apply the old"
            " consent to it without asking: remove keep_consent, or ask again."
        )
    else:
        needed = (
            "New consent is needed: customers agree to exactly the survey that they were shown. An app with"
            " keep_consent=True does not ask again."
        )
    if old.version == new.version:
        return f"{needed} Raise the version: the collector refuses a changed survey with the same version."
    if new.version < old.version:
        return f"{needed} The version is lower than before: devices that had the newer version stay silent."
    return f"{needed} Devices start anew with the new version."


def _together(old: Survey, new: Survey) -> str:
    """What a device that answers both surveys can reveal: their lifetime epsilons add up."""
    if old.digest == new.digest:
        return ""
    first, second = old.lifetime_epsilon, new.lifetime_epsilon
    scope = " for what was answered" if reveals_changes(old) or reveals_changes(new) else ""
    return (
        f"A device that answers both can reveal up to epsilon {first + second:g}{scope} ({first:g} + {second:g}), or"
        " the app's max_lifetime_epsilon if that is lower."
    )


def _changes(old: Survey, new: Survey) -> Iterator[Change]:
    yield from _compare_survey(old, new)
    yield from _compare_privacy(old, new)
    yield from _compare_members("cohort", _cohorts(old), _cohorts(new), more=_cohorts_with_new_values(old, new))
    yield from _compare_amounts("days stored on the device", old.longest_window, new.longest_window)
    yield from _compare_members("stored on the device,", _stored(old), _stored(new))
    yield from _compare_members("signal", _signals(old), _signals(new))
    yield from _compare_questions(old, new)


def _compare_survey(old: Survey, new: Survey) -> Iterator[Change]:
    yield from compare_values("id", old.id, new.id)
    yield from compare_values("version", old.version, new.version, Effect.NONE)
    yield from compare_values("title", old.title, new.title, Effect.NONE)
    yield from compare_values("purpose", old.purpose, new.purpose)
    yield from compare_values("owner", old.owner, new.owner)
    yield from compare_values("starts", old.starts, new.starts)
    yield from compare_values("ends", old.ends, new.ends)
    yield from compare_values("epoch", old.epoch, new.epoch)
    yield from _compare_amounts("retention_days", old.retention_days, new.retention_days)
    yield from _compare_amounts("min_reports", -old.min_reports, -new.min_reports, shown=lambda value: f"{-value:,}")


def _compare_privacy(old: Survey, new: Survey) -> Iterator[Change]:
    was, now = old.privacy, new.privacy
    yield from _compare_amounts("epsilon", was.epsilon, now.epsilon)
    yield from _compare_amounts(
        "epsilon_permanent", was.epsilon_permanent or 0, now.epsilon_permanent or 0, shown=_or_none
    )
    yield from _compare_amounts("questions_per_device", was.questions_per_device, now.questions_per_device)
    yield from _compare_amounts("answers_every", -was.answers_every, -now.answers_every, shown=lambda one: f"{-one}")
    # permanent memory does not hide when an answer changed, whatever its epsilon
    yield from compare_values("memory", was.memory, now.memory, Effect.MORE if new.permanent else Effect.LESS)
    yield from _compare_amounts("changes", was.changes or 0, now.changes or 0)
    yield from _compare_amounts("lifetime epsilon", old.lifetime_epsilon, new.lifetime_epsilon)


def _compare_questions(old: Survey, new: Survey) -> Iterator[Change]:
    before = {question.id: question for question in old.questions}
    after = {question.id: question for question in new.questions}
    yield from _compare_members("question", dict.fromkeys(before, "asked"), dict.fromkeys(after, "asked"))
    for id in (id for id in before if id in after):
        was, now, what = before[id], after[id], f"question {id}"
        if was.epsilon != old.privacy.epsilon or now.epsilon != new.privacy.epsilon:
            yield from _compare_amounts(f"{what}, epsilon", was.epsilon, now.epsilon)
        if was.only_crossed != now.only_crossed:
            states = ("asked on its own", "asked only in combination")
            effect = Effect.LESS if now.only_crossed else Effect.MORE
            yield Change(what, states[was.only_crossed], states[now.only_crossed], effect)
        yield from compare_values(f"{what}, title", was.title or "none", now.title or "none")
        yield from compare_forms(what, was.form, now.form)
        effect = Effect.FOLLOWS if was.automatic and now.automatic else Effect.PRIVACY
        yield from compare_values(f"{what}, mechanism", was.mechanism.label, now.mechanism.label, effect)
    old_order, new_order = ([id for id in ids if id in before and id in after] for ids in (before, after))
    if old_order != new_order:
        yield Change("order of the questions", ", ".join(old_order), ", ".join(new_order), Effect.NONE)


def _cohorts(survey: Survey) -> dict[str, str]:
    return {name: f"sent unrandomized as {', '.join(values)}" for name, values in survey.cohorts.items()}


def _cohorts_with_new_values(old: Survey, new: Survey) -> set[str]:
    return {name for name, values in new.cohorts.items() if set(values) - set(old.cohorts.get(name, ()))}


def _stored(survey: Survey) -> dict[str, str]:
    return {one.source: "the day" if one.field is None else "every value" for one in survey.signals.values()}


def _signals(survey: Survey) -> dict[str, str]:
    return {
        name: f"{one.function} of {one.source} over {counted(one.days, 'day')}" for name, one in survey.signals.items()
    }


def _compare_members(
    kind: str, old: Mapping[str, str], new: Mapping[str, str], more: Collection[str] = ()
) -> Iterator[Change]:
    """The members that were added, removed or changed; a changed member in `more` reveals more."""
    for name in {**old, **new}:
        if name not in new:
            yield Change(f"{kind} {name}", old[name], "removed", Effect.LESS)
        elif name not in old:
            yield Change(f"{kind} {name}", "none", new[name], Effect.MORE)
        else:
            effect = Effect.MORE if name in more else Effect.PRIVACY
            yield from compare_values(f"{kind} {name}", old[name], new[name], effect)


def _compare_amounts(
    what: str, old: float, new: float, shown: Callable[[float], str] = lambda value: f"{value:g}"
) -> Iterator[Change]:
    """The change of a number, if a larger number reveals more."""
    if old != new:
        yield Change(what, shown(old), shown(new), Effect.MORE if new > old else Effect.LESS)


def _or_none(value: float) -> str:
    return f"{value:g}" if value else "none"


def report(difference: Difference) -> str:
    """The comparison as text for a terminal."""
    changes = sorted(difference.changes, key=lambda change: list(Effect).index(change.effect))
    if not changes:
        return difference.consent
    privacy = sum(change.effect not in (Effect.FOLLOWS, Effect.NONE) for change in changes)
    number = counted(len(changes), "change")
    heading = f"{difference.old} -> {difference.new}: {number}, {privacy or 'none'} of them about privacy"
    effects = {change.effect for change in changes}
    meanings = [f"{effect}: {meaning}." for effect, meaning in MEANING.items() if effect in effects]
    return "\n".join(
        [heading, *(f"  {change}" for change in changes), *meanings, difference.consent, difference.together]
    )


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the change needs new consent.")
def diff(old: str, new: str, shape: str, exit_code: bool) -> None:
    """List what changed from OLD to NEW, and if new consent is needed.

    OLD and NEW are survey files. Customers agree to one digest. Every change of a field changes the digest and needs
    new consent, even a change of the version or of a title. Comments, spaces and the order of fields are not part of
    the digest.

    With --exit-code, the command exits with 1 if new consent is needed or if a file is invalid. It ignores that an app
    with keep_consent=True does not ask again.
    """
    difference = compare(Survey.load(old), Survey.load(new))
    if shape == "json":
        print_data(json.dumps(difference.as_dict(), indent=2) + "\n")
    else:
        print_text(report(difference))
    if exit_code and difference.needs_consent:
        raise click.exceptions.Exit(1)
