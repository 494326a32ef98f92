"""A command-line tool. It runs for a moment and must never make its user wait.

The device is the customer's own computer. Purchases are stored in one file there, and nobody else needs to be trusted.

    hushtally survey new shopping-habits.toml --starts today --defaults
    export SHOP_STATE=trial.db    # only for this trial; the default is ~/.shop/hushtally.db
    python examples/command_line.py privacy
    python examples/command_line.py agree
    python examples/command_line.py buy 24.90 books
    python examples/command_line.py status
    python examples/command_line.py withdraw

A batch that cannot be sent while the tool runs waits in the file until the next run. The time of sending then reveals
when the tool was used, and customers who seldom use it are missing from the estimates. Therefore a real tool installs
a timer that runs `status` every hour.
"""

from __future__ import annotations

import argparse
import os

from hushtally import Client, Status, Survey

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
STATE = os.environ.get("SHOP_STATE", "~/.shop/hushtally.db")


def describe(status: Status) -> str:
    """Describe the status. The SDK raises no error if it cannot count, so the tool must tell its user."""
    [survey] = status.surveys
    if survey.silent:
        return f"Not counting: {survey.silent}."
    return f"Counting. Next answer: {survey.next or 'none'}. Batches waiting to be sent: {status.waiting}."


def main() -> None:
    parser = argparse.ArgumentParser(description="A shop on the command line.")
    commands = parser.add_subparsers(dest="command", required=True)
    buy = commands.add_parser("buy", help="buy something")
    buy.add_argument("amount", type=float)
    buy.add_argument("category")
    commands.add_parser("privacy", help="show what is counted and what it reveals")
    commands.add_parser("agree", help="allow your purchases to be counted")
    commands.add_parser("status", help="show whether your purchases are counted")
    commands.add_parser("withdraw", help="stop counting and erase everything")
    arguments = parser.parse_args()

    survey = Survey.load("shopping-habits.toml")
    with Client(survey, collector=COLLECTOR, state=STATE, cohort={"platform": "web"}) as client:
        match arguments.command:
            case "buy":
                client.record("purchase", amount=arguments.amount, category=arguments.category)
                print(f"Bought: {arguments.category} for {arguments.amount:.2f}")
            case "privacy":
                print(client.explain())
            case "agree":
                client.grant_consent()
            case "withdraw":
                client.withdraw_consent()
        if arguments.command in ("agree", "status", "withdraw"):
            print(describe(client.status()))
        client.tick(timeout=1.0)


if __name__ == "__main__":
    main()
