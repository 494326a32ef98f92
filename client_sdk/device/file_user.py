"""What one device and all devices of a state file have in common: a journal, a sender, and the end of their use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from hushtally.client_sdk.delivery.sender import Sender
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.device.answering import Answering
from hushtally.client_sdk.device.journal import Journal
from hushtally.client_sdk.device.withdrawal import Withdrawals
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class Settings:
    """The app's settings for a device: see `Client`."""

    max_lifetime_epsilon: float | None
    keep_consent: bool
    durable: bool


class FileUser(ABC):
    """A user of a state file. Its methods raise; the client or the gateway keeps failures out of the app."""

    def __init__(
        self,
        state: State,
        device: int | None,
        surveys: Sequence[Survey],
        cohorts: Mapping[str, str],
        collector: str,
        transport: Transport,
        settings: Settings,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """device: the number of the only device; None for all devices of the file."""
        self._state = state
        self._surveys = surveys
        self._settings = settings
        self._clock = clock
        self._randomness = randomness
        # these objects do not refer to this one: there is no reference cycle, and the file is closed with this object
        self._permission = Permission(surveys, cohorts, settings.keep_consent, clock)
        ceiling, alone = settings.max_lifetime_epsilon, device is not None
        self._answering = Answering(surveys, self._permission, ceiling, randomness, alone=alone)
        self.delivery = Sender(state, device, surveys, collector, transport, randomness, self._permission)
        self.journal = Journal(state, device, settings.durable, self._permission)
        self._withdrawals = Withdrawals(state, surveys, self._permission, clock)
        self._last_failure: str | None = None
        self._warned_of_rollback = False

    @abstractmethod
    def _why_stopped(self) -> str | None:
        """Return why nothing may be sent, whatever the customers agreed to; None if it may."""

    @abstractmethod
    def _finish_withdrawals(self) -> None:
        """Write each withdrawal that could not be written before."""

    def send(self, seconds: float, now: datetime | None = None, *, wait: bool = False) -> bool:
        """Send what is due, for at most `seconds`; return whether all of it is settled.

        now: by default the clock's time.
        """
        if self._why_stopped():
            return False
        with self._recording_failure():
            return self.delivery.send(now or self._clock(), seconds, wait=wait)

    @contextmanager
    def _recording_failure(self) -> Iterator[None]:
        """Store a failure for `status`, until the block succeeds again."""
        try:
            yield
        except Exception as error:
            self._last_failure = f"the last try failed: {describe_failure(error)}"
            raise
        self._last_failure = None

    def require_file(self) -> None:
        """Raise StateLostError if the file was deleted or replaced. The call never waits."""
        self._state.require_file()

    def abandon(self) -> None:
        """Release a lost file, and discard the events that are not written yet."""
        self.journal.clear()
        self._state.remove_user(self)

    @property
    def is_idle(self) -> bool:
        """Whether `close` has nothing to write, so that it does not wait."""
        return not (self._permission.withdrawing or self.journal.has_unwritten or self._state.mark_is_due)

    def close(self) -> None:
        """Write everything that is in memory, and release the file."""
        try:
            if not self.is_idle:
                self._finish_withdrawals()
                self.journal.write()
                self._state.mark_soon()
        finally:
            self._state.remove_user(self)
