"""An asyncio app: a shop that one talks to over a socket; counting never holds up its loop.

hushtally survey new shopping-habits.toml
hushtally serve shopping-habits.toml &
python examples/asyncio_app.py 7000 &
printf 'agree\nbuy 24.90 books\n' | nc -N 127.0.0.1 7000
"""

from __future__ import annotations

import asyncio
import os
import sys

from hushtally import AsyncClient, Survey

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")


async def obey(words: list[str], client: AsyncClient) -> str:
    match words:
        case ["buy", amount, category]:
            await client.record("purchase", amount=float(amount), category=category)
            return f"bought {category}"
        case ["agree"]:
            await client.grant_consent()
            return "thank you"
        case ["withdraw"]:
            await client.withdraw_consent()
            return "forgotten"
        case ["privacy"]:
            return str(await client.explain())
    return "agree, withdraw, privacy, or: buy AMOUNT CATEGORY"


async def main(port: int) -> None:
    survey = Survey.load("shopping-habits.toml")
    async with await AsyncClient.open(
        survey, collector=COLLECTOR, state="asyncio-shop.db", cohort={"platform": "web"}
    ) as client:

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for line in reader:
                writer.write((await obey(line.decode().split(), client) + "\n").encode())
            writer.close()

        client.start()  # a thread of its own sends what is due
        server = await asyncio.start_server(talk, "127.0.0.1", port)
        print(f"open at port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1])))
    except KeyboardInterrupt:
        print("closed")
