"""The ledger: what each answer of a device cost, and what its surveys may cost together."""

from __future__ import annotations

from math import fsum

from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling


def charge(records: Records, survey: Survey, question: str, epoch: str, epsilon: float) -> None:
    """Store the cost of an answer. Raises ValueError if the question was answered in this epoch before."""
    key = survey.id, question, epoch
    if key in records.ledger:
        raise ValueError("the question was answered in this epoch before")
    records.ledger[key] = survey.digest, float(epsilon)  # as SQLite stores it


def answered(records: Records, survey: Survey, epoch: str) -> bool:
    """Return whether the device has answered any version of the survey in this epoch."""
    return any(id == survey.id and answered == epoch for id, _, answered in records.ledger)


def spent(records: Records, survey: Survey) -> tuple[float, float]:
    """Return the epsilon spent on this version of the survey, and on all other versions.

    With permanent memory it is the whole reserved epsilon from the first answer on. The epsilon spent so far would
    reveal how often an answer changed, and when.
    """
    costs: dict[str, list[float]] = {}
    for (id, _, _), (digest, epsilon) in records.ledger.items():
        if id == survey.id:
            costs.setdefault(digest, []).append(epsilon)
    totals = {}
    for digest, epsilons in costs.items():
        schedule = records.schedules.get(digest)
        totals[digest] = schedule.reserved if schedule is not None and schedule.permanent else sum(epsilons)
    return totals.pop(survey.digest, 0.0), sum(totals.values())


def committed(records: Records) -> float:
    """Return the epsilon that the device has spent, or may still spend, on all surveys that it was enrolled in.

    A survey that is not silent counts with its reserved epsilon. A silent one counts with the epsilon spent. There are
    two exceptions, which count with the reserved epsilon. With permanent memory, the epsilon spent depends on what
    the customer did. After a rollback, the ledger may be incomplete.
    """
    return fsum(
        _sum(records, one.digest) if one.stated is not None and not one.permanent else one.reserved
        for one in records.schedules.values()
    )


def fits(records: Records, ceiling: float | None, more: float = 0.0) -> bool:
    """Return whether the committed epsilon, and `more`, is within the ceiling; None means no ceiling."""
    return ceiling is None or within_ceiling(committed(records) + more, ceiling)


def merge_costs(records: Records, digest: str) -> None:
    """Replace the cost of each answer by one sum; keep which epochs were answered.

    With permanent memory, the single costs would reveal when an answer changed.
    """
    _store_sum(records, digest, keep_epochs=True)


def keep_sum(records: Records, digest: str) -> None:
    """Replace all rows of a survey that has ended by one sum."""
    _store_sum(records, digest, keep_epochs=False)


def _store_sum(records: Records, digest: str, *, keep_epochs: bool) -> None:
    keys = _keys(records, digest)
    if not keys:
        return
    total, survey = _sum(records, digest), keys[0][0]
    for key in keys:
        if keep_epochs:
            records.ledger[key] = digest, 0.0
        else:
            del records.ledger[key]
    # no question has an empty id, and no epoch is called like a digest
    records.ledger[survey, "", digest] = digest, total


def _keys(records: Records, digest: str) -> list[tuple[str, str, str]]:
    return [key for key, (charged, _) in records.ledger.items() if charged == digest]


def _sum(records: Records, digest: str) -> float:
    return fsum(records.ledger[key][1] for key in _keys(records, digest))
