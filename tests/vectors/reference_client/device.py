"""A whole device: from consent and events to the bodies of its requests. It keeps everything in memory."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from reference_client.delivery import Exchange, Outbox
from reference_client.epochs import between, label
from reference_client.mechanism import Mechanism
from reference_client.questions import Questions
from reference_client.recorded import stored
from reference_client.resolved import check
from reference_client.signals import signal
from reference_client.words import Words

MOST_EVENTS = 10_000  # of one name


class Device:
    """A device that is asked one survey. cohort: sent in the clear. words: the random words that it takes."""

    def __init__(self, survey: dict[str, Any], cohort: dict[str, str], words: list[str]) -> None:
        check(survey)
        self.survey, self.cohort, self.words = survey, cohort, Words(words)
        self.questions = Questions(survey)
        self.outbox = Outbox(survey, self.words)
        self.agreed = self.erased = False
        self.drawn: list[str] = []
        self.phase = 0
        self.handled = ""  # the latest epoch that a tick handled
        self.events: list[Any] = []
        self.permanent: dict[str, dict[int, int]] = {}  # per question: the symbol of each value, the last used one last
        self.epochs = between(survey["epoch"], *map(date.fromisoformat, (survey["starts"], survey["ends"])))

    def consent(self) -> None:
        """The customer agrees. The questions and the phase are drawn once, whatever happens later."""
        self.agreed = True
        if self.drawn:
            return
        pool = [question["id"] for question in self.survey["questions"] if not question["only_crossed"]]
        for _ in range(self.survey["privacy"]["questions_per_device"]):
            self.drawn.append(pool.pop(self.words.below(len(pool))))
        self.phase = self.words.below(self.survey["privacy"]["answers_every"])

    def withdraw(self) -> None:
        """Everything is erased except the draws, the handled epochs, and the fact of the withdrawal."""
        self.agreed = False
        self.erased = self.erased or self.survey["privacy"]["memory"] == "permanent"
        self.events.clear()
        self.permanent.clear()
        self.outbox.waiting.clear()

    def record(self, now: datetime, name: str, fields: dict[str, Any]) -> None:
        """Keep what the survey's signals use of an event."""
        used = [self.source(stated) for stated in self.survey["signals"].values()]
        if not self.agreed or self.erased or now.date().isoformat() > self.survey["ends"]:
            return
        if name not in [event for _, event, _ in used]:
            return
        kept = {}
        for field, value in fields.items():
            functions = [function for function, event, one in used if (event, one) == (name, field)]
            storable = stored(value, "sum" in functions) if functions else None
            if storable is not None:
                kept[field] = storable
        self.events.append([now.date().isoformat(), name, kept])
        if len(self.events) > MOST_EVENTS:
            same = [event for event in self.events if event[1] == name]
            if len(same) > MOST_EVENTS:
                self.events.remove(same[0])

    @staticmethod
    def source(stated: dict[str, Any]) -> tuple[str, str, str]:
        """The function, the event and the field of a signal."""
        (function,) = stated.keys() - {"days"}
        event, _, field = stated[function].partition(".")
        return function, event, field

    def tick(self, now: datetime, exchange: Exchange) -> None:
        """Answer if an answer is due, then send what is due."""
        epoch = label(self.survey["epoch"], now.date())
        if self.agreed and not self.erased and epoch in self.epochs and epoch > self.handled:
            self.handled = epoch
            if self.epochs.index(epoch) % self.survey["privacy"]["answers_every"] == self.phase:
                self.answer(now, epoch)
        self.outbox.send(now, exchange)

    def answer(self, now: datetime, epoch: str) -> None:
        today = now.date().isoformat()
        signals = {}
        for name, stated in self.survey["signals"].items():
            function, event, field = self.source(stated)
            source = f"{event}.{field}" if field else event
            signals[name] = signal({function: source, "days": stated["days"]}, today, self.events)
        reports = []
        for id in self.drawn:
            symbol = self.symbol(id, self.questions.answer(id, signals))
            reports.append({"question": id, "epoch": epoch, "cohort": self.cohort, "symbol": symbol})
        self.outbox.put(reports, now)

    def symbol(self, id: str, value: int) -> int:
        """The randomized answer to a question. With permanent memory, the symbol of a value is drawn once."""
        mechanism = Mechanism(self.questions.by_id[id]["mechanism"], len(self.questions.segments(id)))
        if self.survey["privacy"]["memory"] == "fresh":
            return mechanism.perturb(value, self.words)
        known = self.permanent.setdefault(id, {})
        last = list(known)[-1] if known else None
        if value not in known and len(known) <= self.survey["privacy"]["changes"]:
            known[value] = mechanism.draw(value, None if last is None else known[last], self.words)
        used = value if value in known or last is None else last
        known[used] = known.pop(used)
        return mechanism.repeat(known[used], self.words)
