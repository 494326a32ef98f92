"""Event admission: which events and fields are stored, and how an app's mistakes are counted and logged."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hushtally.client_sdk import calls
from hushtally.client_sdk.device.device import Device
from hushtally.client_sdk.device.devices import KeyedDevice
from hushtally.client_sdk.device.journal import Entry
from hushtally.client_sdk.error_text import closest_match
from hushtally.client_sdk.errors import ClientError
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.permission import Permit
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.vocabulary import EventVocabulary

logger = logging.getLogger("hushtally")

MOST_LINES = 100  # log lines about dropped events in one process, however many clients it opens
BEFORE_CONSENT = "record: nothing is stored before consent, or while every survey is silent; status() says why"
AFTER_CLOSE = "record: the client is closed; nothing is stored"

_logged: set[int] = set()  # hashes, because an app may build a name from what its customer did


class Mistake(NamedTuple):
    """A name that is not in any survey, or a value that cannot be stored.

    field: None if the mistake is the event itself. required: what the value must be; None if the name is the mistake.
    given: the type of the value.
    """

    fate: Fate
    event: object
    field: str | None = None
    required: str | None = None
    given: str | None = None


class Recording:
    """Checks every call of `Client.record` against the client's surveys."""

    def __init__(self, surveys: Iterable[Survey]) -> None:
        self._declared = EventVocabulary.of(surveys)

    def check(self, event: object, fields: Mapping[str, object]) -> None:
        """Raise ClientError for the first mistake; the message contains the name that the app passed."""
        for mistake in self._examine(self._declared, event, fields)[1]:
            if mistake.field is None:
                known = ", ".join(self._declared.events)
                raise ClientError(f"event {event!r} is not in any survey; the surveys use {known}")
            if mistake.required is None:
                raise ClientError(f"field {event}.{mistake.field} is not in any survey")
            raise ClientError(f"field {event}.{mistake.field} {mistake.required}, got {mistake.given}")

    def record(self, device: Device | KeyedDevice, event: str, fields: Mapping[str, object]) -> None:
        """Store the event, with the fields that are asked for; count and log mistakes.

        Without consent nothing is stored, and mistakes are not counted.
        """
        entry = self.entry(device.permit(), event, fields)
        if entry is not None:
            device.store(entry)

    def warn_closed(self) -> None:
        """Log, once in a process, that the app records after `close`."""
        if _first_time(AFTER_CLOSE):
            calls.report(logger.warning, AFTER_CLOSE)

    def entry(self, permit: Permit | None, event: str, fields: Mapping[str, object]) -> Entry | None:
        """Return what is stored and counted under this permit, None if nothing is; log mistakes."""
        if permit is None:
            if _first_time(BEFORE_CONSENT):
                calls.report(logger.info, BEFORE_CONSENT)
            return None
        stored, mistakes = self._examine(permit.vocabulary, event, fields)
        for mistake in mistakes:
            self._warn(mistake)
        return Entry(permit, event, stored, tuple(mistake.fate for mistake in mistakes))

    def _examine(
        self, permitted: EventVocabulary, event: object, fields: Mapping[str, object]
    ) -> tuple[dict[str, float | str] | None, list[Mistake]]:
        """Return the fields to store, or None for no event, and the mistakes.

        permitted: what may be stored now. A name that only other surveys of the client use is no mistake.
        """
        declared = self._declared
        if not isinstance(event, str) or not declared.event(event):
            return None, [Mistake(Fate.NOT_IN_SURVEY, event)]
        if not permitted.event(event):
            return None, []
        stored: dict[str, float | str] = {}
        mistakes = []
        for field, value in fields.items():
            if permitted.field(event, field):
                usable, required = permitted.value(event, field, value)
                if usable is None:
                    mistakes.append(Mistake(Fate.UNUSABLE_VALUE, event, field, required, type(value).__name__))
                else:
                    stored[field] = usable
            elif not declared.field(event, field):
                mistakes.append(Mistake(Fate.NOT_IN_SURVEY, event, field))
        return stored, mistakes

    def _warn(self, mistake: Mistake) -> None:
        """Log a mistake once, without the name or the value that the app passed."""
        event, field = mistake.event, mistake.field
        if not _first_time(str(event), field, mistake.required):
            return
        if mistake.required is not None:
            dropped = "record: field %s.%s %s; the value was dropped"
            calls.report(logger.warning, dropped, event, field, mistake.required)
            return
        if field is None:
            what, name, known = "an event", str(event), self._declared.events
        else:
            what, name, known = f"a field of {event!r}", field, self._declared.fields(str(event))
        advice = closest_match(name, known) or "Client(strict=True) names it"
        calls.report(logger.warning, "record: %s that is not in any survey was dropped; %s", what, advice)


def _first_time(*subject: str | None) -> bool:
    """Whether this process has not logged about the subject yet, and may still log."""
    key = hash(subject)
    new = key not in _logged and len(_logged) < MOST_LINES
    if new:
        _logged.add(key)
    return new
