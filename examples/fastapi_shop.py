"""A web shop (FastAPI). Every cookie is a device of its own, and all devices are in one state file.

The device is the shop's server, as in web_shop.py. The first lines of web_shop.py explain what this protects.

    pip install '.[collector]' fastapi uvicorn    # in a checkout
    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    uvicorn --app-dir examples fastapi_shop:app --port 8000 &
    curl -c cookies -b cookies -X POST http://127.0.0.1:8000/consent
    curl -c cookies -b cookies -X POST 'http://127.0.0.1:8000/purchases?amount=24.90&category=books'
    curl -c cookies -b cookies http://127.0.0.1:8000/status

Endpoints are plain functions: FastAPI runs them in threads, so a client never blocks the event loop. A timer inside
the app ticks every device whose customer agreed. Several workers may do this at the same time: a device answers each
question once.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Response
from fastapi.responses import PlainTextResponse

from hushtally import Client, Survey

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
TICK_SECONDS = float(os.environ.get("TICK_SECONDS", "900"))
AGREED = Path("agreed")  # the shop's own list, one file per key; the state file stores only salted hashes of the keys
KEY = re.compile("[0-9a-f]{32}")
DEVICE_NOTE = (
    "“The device” is this shop's server: your purchases are stored there, where the operator of the shop can read them."
)


def open_client(key: str) -> Client:
    """Return the client of one customer."""
    return Client(SURVEY, collector=COLLECTOR, state="fastapi-shop.db", device=key, cohort={"platform": "web"})


def tick_all() -> None:
    """Tick the device of every customer who agreed."""
    for key in AGREED.iterdir() if AGREED.exists() else ():
        with open_client(key.name) as client:
            client.tick()


async def tick_regularly() -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        await asyncio.to_thread(tick_all)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    timer = asyncio.create_task(tick_regularly())
    yield
    timer.cancel()


app = FastAPI(lifespan=lifespan)


def customer_key(response: Response, shop_key: Annotated[str | None, Cookie()] = None) -> str:
    """Return the key from the customer's cookie. A new customer gets a new key."""
    key = shop_key if shop_key and KEY.fullmatch(shop_key) else secrets.token_hex(16)
    response.set_cookie("shop_key", key, max_age=366 * 86_400, httponly=True, samesite="lax")
    return key


Key = Annotated[str, Depends(customer_key)]


def customer_client(key: Key) -> Iterator[Client]:
    """Open the customer's client for the duration of a request."""
    with open_client(key) as client:
        yield client


Device = Annotated[Client, Depends(customer_client)]


def privacy_page(client: Client) -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{client.explain()}"


@app.get("/privacy", response_class=PlainTextResponse)
def privacy(client: Device) -> str:
    return privacy_page(client)


@app.get("/status", response_class=PlainTextResponse)
def status(client: Device) -> str:
    return str(client.status())


@app.post("/consent")
def agree(client: Device, key: Key) -> dict[str, bool]:
    AGREED.mkdir(exist_ok=True)
    stored = client.grant_consent(shown=privacy_page(client))
    if stored:
        (AGREED / key).touch()
    return {"stored": stored}


@app.delete("/consent")
def withdraw(client: Device, key: Key) -> dict[str, bool]:
    erased = client.withdraw_consent()
    if erased:  # otherwise keep the key: the timer's next tick erases the rest
        (AGREED / key).unlink(missing_ok=True)
    return {"erased": erased}


@app.post("/purchases")
def buy(client: Device, amount: float, category: str) -> dict[str, str]:
    client.record("purchase", amount=amount, category=category)
    return {"bought": category}
