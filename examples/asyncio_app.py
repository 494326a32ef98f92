"""An asyncio app that one customer uses over a socket. Counting never blocks its event loop.

The device is the computer that the app runs on, the customer's own. Purchases are stored there, in asyncio-shop.db.
Everyone who can connect is that one customer. A service for many customers separates them with `device=`, as kiosk.py
does.

    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    python examples/asyncio_app.py 7007 &
    printf 'agree\nbuy 24.90 books\nprivacy\nbye\n' | nc 127.0.0.1 7007
"""

from __future__ import annotations

import argparse
import asyncio
import os

from hushtally import AsyncClient, Survey

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
COMMANDS = "commands: agree, withdraw, privacy, bye, buy AMOUNT CATEGORY"


async def execute(words: list[str], client: AsyncClient) -> str:
    """Execute one command; returns the reply."""
    match words:
        case ["buy", amount, category]:
            await client.record("purchase", amount=float(amount), category=category)
            return f"bought {category}"
        case ["agree"]:
            await client.grant_consent()
            return "thank you"
        case ["withdraw"]:
            await client.withdraw_consent()
            return "erased"
        case ["privacy"]:
            return str(await client.explain())
    return COMMANDS


async def main(port: int) -> None:
    survey = Survey.load("shopping-habits.toml")
    async with await AsyncClient.open(
        survey, collector=COLLECTOR, state="asyncio-shop.db", cohort={"platform": "web"}
    ) as client:

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for line in reader:
                if line.split() == [b"bye"]:
                    break
                writer.write((await execute(line.decode().split(), client) + "\n").encode())
            writer.close()

        client.start()  # a background thread sends what is due
        server = await asyncio.start_server(talk, "127.0.0.1", port)
        print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A shop on a socket.")
    parser.add_argument("port", type=int, nargs="?", default=0, help="the port; by default any free port")
    try:
        asyncio.run(main(parser.parse_args().port))
    except KeyboardInterrupt:
        print("closed")
