"""A kiosk: many customers, each identified by a card, in one state file.

The device is the kiosk. It stores each customer's purchases in plain form on its disk, in kiosk.db, until the survey no
longer needs them. This suits a machine that its customers trust anyway: a checkout, or a gateway in front of many
machines. It protects customers from everyone behind the kiosk: the network, the collector and the analyst. It does not
protect them from anyone who can read that disk.

    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    printf '%s\n' '4711 agree' '4711 buy 24.90 books' '4712 buy 3.50 music' | python examples/kiosk.py

Each line is a card and what its owner does. At the end of the input, which is the end of the day, the kiosk ticks every
card that it ever saw. So an answer is sent at a time that does not depend on who visits when.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hushtally import Client, Survey

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
CARDS = Path("cards.txt")  # the kiosk's own list; the state file stores only salted hashes of the cards
DEVICE_NOTE = (
    "“The device” is this kiosk: your purchases are stored on its disk, where the operator of the kiosk can read them."
)


def open_client(card: str) -> Client:
    """Return the client of one card."""
    return Client(SURVEY, collector=COLLECTOR, state="kiosk.db", device=card, cohort={"platform": "web"})


def privacy_page(client: Client) -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{client.explain()}"


def serve(card: str, words: list[str]) -> None:
    """Do what the owner of a card asks for."""
    with open_client(card) as client:
        match words:
            case ["agree"]:
                client.grant_consent(shown=privacy_page(client))
            case ["withdraw"]:
                client.withdraw_consent()
            case ["privacy"]:
                print(privacy_page(client))
            case ["buy", amount, category]:
                client.record("purchase", amount=float(amount), category=category)
            case _:
                print(f"unknown command: {' '.join(words)}", file=sys.stderr)


def main() -> None:
    cards = set(CARDS.read_text().split()) if CARDS.exists() else set()
    for line in sys.stdin:
        card, *words = line.split() or [""]
        if card:
            cards.add(card)
            serve(card, words)
    CARDS.write_text("\n".join(sorted(cards)))
    for card in sorted(cards):
        with open_client(card) as client:
            client.tick()
    print(f"{len(cards)} customers")


if __name__ == "__main__":
    main()
