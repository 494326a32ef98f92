"""A web shop (FastAPI). Every cookie is a device of its own, and all devices are in one state file.

The device is the shop's server, as in web_shop.py. The first lines of web_shop.py explain what this protects.

    pip install '.[collector]' fastapi uvicorn    # in a checkout
    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    uvicorn --app-dir examples fastapi_shop:app --port 8000 &
    curl -c cookies -b cookies -X POST http://127.0.0.1:8000/consent
    curl -c cookies -b cookies -X POST 'http://127.0.0.1:8000/purchases?amount=24.90&category=books'
    curl -c cookies -b cookies http://127.0.0.1:8000/status

Endpoints are plain functions: FastAPI runs them in threads, so the gateway never blocks the event loop. A timer inside
the app ticks the gateway, which answers for every customer who agreed. Several workers may do this at the same time: a
device answers each question once.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Response
from fastapi.responses import PlainTextResponse

from hushtally import Gateway, GatewayDevice, Survey

SURVEY = Survey.load("shopping-habits.toml")
GATEWAY = Gateway(SURVEY, collector=os.environ.get("COLLECTOR", "http://127.0.0.1:8080"), state="fastapi-shop.db")
TICK_SECONDS = float(os.environ.get("TICK_SECONDS", "900"))
KEY = re.compile("[0-9a-f]{32}")
DEVICE_NOTE = (
    "“The device” is this shop's server: your purchases are stored there, where the operator of the shop can read them."
)


async def tick_regularly() -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        await asyncio.to_thread(GATEWAY.tick)


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


def customer_device(key: Annotated[str, Depends(customer_key)]) -> GatewayDevice:
    """Return the customer's device."""
    return GATEWAY.device(key, cohort={"platform": "web"})


Device = Annotated[GatewayDevice, Depends(customer_device)]


def privacy_page(device: GatewayDevice) -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{device.explain()}"


@app.get("/privacy", response_class=PlainTextResponse)
def privacy(device: Device) -> str:
    return privacy_page(device)


@app.get("/status", response_class=PlainTextResponse)
def status(device: Device) -> str:
    return str(device.status())


@app.post("/consent")
def agree(device: Device) -> dict[str, bool]:
    return {"stored": device.grant_consent(shown=privacy_page(device))}


@app.delete("/consent")
def withdraw(device: Device) -> dict[str, bool]:
    return {"erased": device.withdraw_consent()}


@app.post("/purchases")
def buy(device: Device, amount: float, category: str) -> dict[str, str]:
    device.record("purchase", amount=amount, category=category)
    return {"bought": category}
