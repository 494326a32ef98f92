"""A web shop (Flask): every session is a device of its own, and all of them are kept in one file.

    pip install 'hushtally[collector]'
    hushtally survey new shopping-habits.toml
    hushtally serve shopping-habits.toml &
    flask --app examples/web_shop.py run

The key in the session's cookie is the shop's own: it tells the devices apart on this server, and never leaves it.
"""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, g, redirect, render_template_string, request, session
from werkzeug.wrappers import Response

from hushtally import Client, Survey

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")

PAGE = """
{% if agreed %}<form action="/withdraw" method="post"><button>Count me no longer</button></form>
{% else %}<form action="/agree" method="post">May we count how you shop? <a href="/privacy">What that means</a>
<button>Yes</button></form>{% endif %}
<form action="/buy" method="post">A book for 24.90 <button>Buy</button></form>
"""

app = Flask(__name__)
app.secret_key = os.environ.get("SHOP_SECRET") or secrets.token_hex()
behind = ThreadPoolExecutor(2)  # no customer waits for the collector


def device(key: str) -> Client:
    return Client(SURVEY, collector=COLLECTOR, state="shop.db", device=key, cohort={"platform": "web"})


def tick(key: str) -> None:
    with device(key) as client:
        client.tick()


@app.before_request
def begin() -> None:
    session.permanent = True
    g.device = device(session.setdefault("key", secrets.token_hex(16)))


@app.teardown_request
def end(_: BaseException | None) -> None:
    if "device" in g:
        g.device.close()
        behind.submit(tick, session["key"])


@app.get("/")
def shop() -> str:
    return render_template_string(PAGE, agreed=g.device.status().surveys[0].consent)


@app.get("/privacy")
def privacy() -> Response:
    return Response(str(g.device.explain()), mimetype="text/plain")


@app.post("/agree")
def agree() -> Response:
    g.device.grant_consent()
    return redirect("/")


@app.post("/withdraw")
def withdraw() -> Response:
    g.device.withdraw_consent()
    return redirect("/")


@app.post("/buy")
def buy() -> Response:
    g.device.record("purchase", amount=float(request.form.get("amount", 24.90)), category="books")
    return redirect("/")
