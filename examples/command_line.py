"""A command-line tool: it runs for a moment, and must never keep its user waiting.

The device is the customer's own machine: what was bought is kept in one file there, and nobody else need be trusted.

    hushtally survey new shopping-habits.toml
    export SHOP_STATE=trial.db    # only to try it: without it, ~/.shop/hushtally.db
    python examples/command_line.py privacy
    python examples/command_line.py agree
    python examples/command_line.py buy 24.90 books
    python examples/command_line.py status
    python examples/command_line.py withdraw

What cannot be sent while it runs waits in that file for the next time. When an answer leaves tells when the tool was
run, and who seldom runs it is missing from the estimates: a real tool has a timer that runs `status` every hour.
"""

from __future__ import annotations

import argparse
import os

from hushtally import Client, Status, Survey

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
STATE = os.environ.get("SHOP_STATE", "~/.shop/hushtally.db")


def told(status: Status) -> str:
    """How it stands: the SDK is silent where it cannot count, and only the tool can say so to its user."""
    [survey] = status.surveys
    if survey.silent:
        return f"Not counting: {survey.silent}."
    return f"Counting; the next answer is in {survey.next or 'no week any more'}. Waiting to be sent: {status.waiting}."


def main() -> None:
    parser = argparse.ArgumentParser(description="A shop in a terminal.")
    commands = parser.add_subparsers(dest="command", required=True)
    buy = commands.add_parser("buy", help="buy something")
    buy.add_argument("amount", type=float)
    buy.add_argument("category")
    commands.add_parser("privacy", help="show what is counted, and what that tells")
    commands.add_parser("agree", help="let your purchases be counted")
    commands.add_parser("status", help="show whether they are")
    commands.add_parser("withdraw", help="be counted no longer, and have everything erased")
    asked = parser.parse_args()

    survey = Survey.load("shopping-habits.toml")
    with Client(survey, collector=COLLECTOR, state=STATE, cohort={"platform": "web"}) as client:
        match asked.command:
            case "buy":
                client.record("purchase", amount=asked.amount, category=asked.category)
                print(f"Bought: {asked.category} for {asked.amount:.2f}")
            case "privacy":
                print(client.explain())
            case "agree":
                client.grant_consent()
            case "withdraw":
                client.withdraw_consent()
        if asked.command in ("agree", "status", "withdraw"):
            print(told(client.status()))
        client.tick(timeout=1.0)


if __name__ == "__main__":
    main()
