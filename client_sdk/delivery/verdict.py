"""The verdict on a batch: what the collector's response means for the reports. Pure; every response is covered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import Batch, Reason
from hushtally.client_sdk.state.counters import Fate

BUSY = frozenset({429, 503})  # the status with which a collector, or its proxy, asks for a pause


@dataclass(frozen=True)
class Verdict:
    """The end of a batch: what became of each of its reports, in the order of the batch.

    A report whose fate is POSTPONED is sent again.
    """

    fates: tuple[Fate, ...]

    @property
    def lost(self) -> Mapping[Fate, int]:
        """How many reports are lost, by reason."""
        return Counter(fate for fate in self.fates if fate not in (Fate.DELIVERED, Fate.POSTPONED))


def judge(response: Response, batch: Batch) -> Verdict | None:
    """The verdict on a batch, or None if the same batch must be sent again.

    Only a response of a collector ends a batch. The page of a captive portal or of a misconfigured proxy does not.
    """
    if response.status == 200:
        return _counted(response.body, batch)
    kind = _refusal(response)
    if kind is None or kind.retryable:
        return None
    return Verdict((Fate(f"refused: {kind.code}"),) * len(batch.reports))


def retry_reason(response: Response, batch: Batch) -> str:
    """Why the same batch must be sent again, for the app's operator. Quotes nothing that a server sent."""
    if response.status >= 500:
        return f"the collector answered with status {response.status}"
    if _refusal(response) is Refused.UNKNOWN_SURVEY:
        return f"the collector does not have the app's definition of {batch.survey} v{batch.version}"
    return f"a server that is not a hushtally collector answered with status {response.status}"


def _counted(body: bytes, batch: Batch) -> Verdict | None:
    try:
        result = json.loads(body)
        rejected = {row["index"]: (row["reason"], row["retryable"] is True) for row in result["rejected"]}
        accepted = result["accepted"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not all(type(index) is int and 0 <= index < len(batch.reports) for index in rejected):
        return None
    if type(accepted) is not int or accepted != len(batch.reports) - len(rejected):
        return None
    fates = [Fate.DELIVERED] * len(batch.reports)
    for index, (reason, retryable) in rejected.items():
        fates[index] = Fate.POSTPONED if retryable else Fate(f"rejected: {_reason(reason)}")
    return Verdict(tuple(fates))


def _reason(reason: object) -> str:
    """The reason if it is in the closed list. Nothing else that a server sends is stored."""
    return str(reason) if isinstance(reason, str) and reason in list(Reason) else "other"


def _refusal(response: Response) -> Refused | None:
    """The kind of refusal that the response states, if a collector refuses the batch."""
    if not 400 <= response.status < 500:
        return None
    try:
        return Refused.of_type(json.loads(response.body)["type"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
