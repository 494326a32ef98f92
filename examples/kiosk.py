"""A kiosk: many customers, each known by a card, kept apart in one file.

The device is the kiosk: what each customer bought lies on its disk in plain text, in kiosk.db, until the survey needs
it no longer. That suits a machine which its customers trust anyway: a till, or a gateway in front of many. It protects
them from everybody behind it: the network, the collector, who reads the estimates. It does not protect them from
whoever reads that disk.

    hushtally survey new shopping-habits.toml
    hushtally serve shopping-habits.toml &
    printf '%s\n' '4711 agree' '4711 buy 24.90 books' '4712 buy 3.50 music' | python examples/kiosk.py

Each line is a card and what its owner does. At the end of the day, which is the end of the input, all cards that were
ever seen are gone through: an answer is sent at a moment of its week that does not depend on who comes when.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hushtally import Client, Survey

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
CARDS = Path("cards.txt")  # the kiosk's own list: the state file holds no key, only salted hashes
WHERE = "“The device” is this kiosk: what you buy is kept on its disk, where whoever runs it can read it."


def customer(card: str) -> Client:
    return Client(SURVEY, collector=COLLECTOR, state="kiosk.db", device=card, cohort={"platform": "web"})


def privacy(client: Client) -> str:
    return f"{WHERE}\n\n{client.explain()}"


def serve(card: str, words: list[str]) -> None:
    with customer(card) as client:
        match words:
            case ["agree"]:
                client.grant_consent(shown=privacy(client))
            case ["withdraw"]:
                client.withdraw_consent()
            case ["privacy"]:
                print(privacy(client))
            case ["buy", amount, category]:
                client.record("purchase", amount=float(amount), category=category)
            case _:
                print(f"not understood: {' '.join(words)}", file=sys.stderr)


def main() -> None:
    cards = set(CARDS.read_text().split()) if CARDS.exists() else set()
    for line in sys.stdin:
        card, *words = line.split() or [""]
        if card:
            cards.add(card)
            serve(card, words)
    CARDS.write_text("\n".join(sorted(cards)))
    for card in sorted(cards):
        with customer(card) as client:
            client.tick()
    print(f"{len(cards)} customers")


if __name__ == "__main__":
    main()
