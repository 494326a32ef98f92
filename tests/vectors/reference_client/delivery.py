"""The outbox: when a batch is sent, and what the answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from reference_client.batch import body as body_of
from reference_client.batch import new_id
from reference_client.epochs import DAY, first_day, label, last_day
from reference_client.retry_after import seconds
from reference_client.words import Words

LONGEST_PAUSE = 3_600  # seconds
READ_BYTES = 65_536  # of an answer
BUSY = (429, 503)
FINAL = ("malformed", "too_large", "unsupported_content")

NEVER = datetime(1, 1, 1, tzinfo=UTC)
Answer = dict[str, Any] | None  # status, headers and body; None: no answer
Exchange = Callable[[str], Answer]  # sends a body


@dataclass
class Pause:
    """The pause after failures in a row."""

    until: datetime = NEVER
    failures: int = 0

    def failed(self, now: datetime, words: Words, retry_after: float = 0) -> None:
        self.failures += 1
        longest = min(2**self.failures, LONGEST_PAUSE)
        self.until = now + timedelta(milliseconds=longest * words.below(1_000)) + timedelta(seconds=retry_after)


@dataclass
class Waiting:
    body: str
    due: datetime
    pause: Pause = field(default_factory=Pause)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["reports"])


class Outbox:
    """The batches of a device that are not settled yet."""

    def __init__(self, survey: dict[str, Any], words: Words) -> None:
        self.survey, self.words = survey, words
        self.waiting: dict[str, Waiting] = {}
        self.pause = Pause()  # of the collector
        self.delivered = self.lost = 0

    def add(self, body: str, due: datetime) -> None:
        self.waiting[json.loads(body)["batch"]] = Waiting(body, due)

    def put(self, reports: list[dict[str, Any]], now: datetime) -> None:
        """Queue reports for a random moment of the rest of the epoch."""
        epoch = self.survey["epoch"]
        following = last_day(epoch, label(epoch, now.date())) + DAY
        rest = datetime.combine(following, time(), UTC) - now
        due = now + timedelta(seconds=self.words.below(max(int(rest.total_seconds()), 1)))
        self.add(body_of(self.survey, new_id(self.words), reports), due)

    def send(self, now: datetime, exchange: Exchange) -> None:
        """Send every batch that is due, in the order of their ids, until the collector does not answer."""
        self.drop_expired(now)
        if self.pause.until > now:
            return
        for id, batch in sorted(self.waiting.items()):
            if batch.due <= now and batch.pause.until <= now and not self.reached(id, batch, exchange(batch.body), now):
                return

    def drop_expired(self, now: datetime) -> None:
        for id, batch in list(self.waiting.items()):
            if now.date() > min(self.accepted_until(report["epoch"]) for report in batch.reports):
                self.lost += len(self.waiting.pop(id).reports)

    def accepted_until(self, epoch_label: str) -> Any:
        epoch = self.survey["epoch"]
        following = last_day(epoch, label(epoch, first_day(epoch, epoch_label))) + DAY
        return last_day(epoch, label(epoch, following))

    def reached(self, id: str, batch: Waiting, answer: Answer, now: datetime) -> bool:
        """Act on an answer, and return whether the collector, or a server in its place, gave one."""
        if answer is None or answer["status"] in BUSY:
            self.pause.failed(now, self.words, seconds(answer["headers"], now) if answer else 0)
            batch.pause.failed(now, self.words)
            return False
        self.pause = Pause()
        again = self.settled(batch, answer)
        if again is None:
            batch.pause.failed(now, self.words, seconds(answer["headers"], now))
            return True
        del self.waiting[id]
        if again:
            self.put(again, now)
        return True

    def settled(self, batch: Waiting, answer: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The reports to send again in a new batch, or None if the same batch must be sent again."""
        try:
            content = json.loads(answer["body"].encode()[:READ_BYTES])
            if answer["status"] == 200:
                return self.counted(batch.reports, content)
            refusal = content["type"] if 400 <= answer["status"] < 500 else ""
        except (ValueError, LookupError, TypeError):
            return None
        if refusal not in [f"urn:hushtally:{kind}" for kind in FINAL]:
            return None
        self.lost += len(batch.reports)
        return []

    def counted(self, reports: list[dict[str, Any]], content: Any) -> list[dict[str, Any]] | None:
        rejected = {row["index"]: (row["reason"], row["retryable"] is True) for row in content["rejected"]}
        accepted = content["accepted"]
        if any(type(index) is not int or not 0 <= index < len(reports) for index in rejected):
            return None
        if type(accepted) is not int or accepted != len(reports) - len(rejected):
            return None
        again = [reports[index] for index, (_, retryable) in rejected.items() if retryable]
        self.delivered += accepted
        self.lost += len(rejected) - len(again)
        return again
