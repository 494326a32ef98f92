"""A command-line tool: it runs for a moment, and must never keep its user waiting.

    hushtally survey new shopping-habits.toml
    python examples/command_line.py privacy
    python examples/command_line.py agree
    python examples/command_line.py buy 24.90 books
    python examples/command_line.py withdraw

What cannot be sent while it runs waits in the state file for the next time.
"""

from __future__ import annotations

import argparse
import os

from hushtally import Client, Survey

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")


def main() -> None:
    parser = argparse.ArgumentParser(description="A shop in a terminal.")
    commands = parser.add_subparsers(dest="command", required=True)
    buy = commands.add_parser("buy", help="buy something")
    buy.add_argument("amount", type=float)
    buy.add_argument("category")
    commands.add_parser("privacy", help="show what is counted, and what that tells")
    commands.add_parser("agree", help="let your purchases be counted")
    commands.add_parser("withdraw", help="be counted no longer, and have everything erased")
    asked = parser.parse_args()

    survey = Survey.load("shopping-habits.toml")
    with Client(survey, collector=COLLECTOR, state="~/.shop/hushtally.db", cohort={"platform": "web"}) as client:
        if asked.command == "buy":
            client.record("purchase", amount=asked.amount, category=asked.category)
            print(f"Bought: {asked.category} for {asked.amount:.2f}")
        elif asked.command == "privacy":
            print(client.explain())
        elif asked.command == "agree":
            client.grant_consent()
        else:
            client.withdraw_consent()
        client.tick(timeout=1.0)


if __name__ == "__main__":
    main()
