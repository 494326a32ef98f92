"""Mistakes that a client in another language may make, as changes of the second client.

The files are in the folder `mistakes`, one for each category. A mistake looks like this:

    sends an answer only after its moment
    @ delivery
    -             if batch.due <= now and self.is_ready(batch):
    +             if batch.due < now and self.is_ready(batch):

After the description comes the module of the second client, then the lines that are taken out and the lines that are
put in. A line with `~` states why no vector can show the mistake. Mistakes are separated by an empty line.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "mistakes"
CATEGORIES = {
    "reading rules": "parsing",
    "numbers": "numbers",
    "evaluating rules, segments": "rules",
    "recorded values, signals": "signals",
    "dates, epochs": "epochs",
    "canonical JSON, digest": "canonical",
    "refusing surveys": "surveys",
    "mechanisms": "mechanisms",
    "random words": "randomness",
    "permanent memory": "memory",
    "batches, outbox": "outbox",
    "delivery": "delivery",
    "consent, withdrawal": "consent",
    "schedule, budget": "budget",
}


class Mistake(NamedTuple):
    """What a client does wrong: in a module of the second client, the mistaken lines replace the correct ones.

    equivalent: why no vector can show the mistake; empty if a vector must.
    """

    does: str
    module: str
    correct: str
    mistaken: str
    equivalent: str

    def applied(self, source: str) -> str:
        """The source of the module with the mistake. Raises ValueError unless the correct lines occur once."""
        if f"\n{source}".count(f"\n{self.correct}") != 1:
            raise ValueError(f"the lines of {self.does!r} must occur once in {self.module}.py")
        before, _, after = f"\n{source}".partition(f"\n{self.correct}")
        return f"{before}\n{self.mistaken}{after}"[1:]


def mistakes() -> dict[str, list[Mistake]]:
    """All mistakes by category."""
    return {
        category: [_read(entry) for entry in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n\n")]
        for category, name in CATEGORIES.items()
    }


def _read(entry: str) -> Mistake:
    does, *lines = entry.strip("\n").split("\n")
    parts = {sign: [line[2:] for line in lines if line[0] == sign] for sign in "@~-+"}
    code = {sign: "".join(f"{line}\n" for line in parts[sign]) for sign in "-+"}
    return Mistake(does, parts["@"][0], code["-"], code["+"], " ".join(parts["~"]))
