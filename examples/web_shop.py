"""A web shop (Flask): every session is a device of its own, and all of them are kept in one file.

The device is the shop's server: what each customer bought lies there in plain text, in shop.db, until the survey needs
it no longer. That suits a shop that counts for somebody else, or whose analysts are to have counts and no purchases. It
protects customers from everybody behind that server: the network, the collector, who reads the estimates. It does not
protect them from the shop, nor from whoever breaks in: for that the customer's own machine has to be the device, as in
command_line.py.

    pip install '.[collector]'    # in a checkout
    hushtally survey new shopping-habits.toml
    hushtally serve shopping-habits.toml &
    flask --app examples/web_shop.py run &
    watch -n 900 flask --app examples/web_shop.py tick

The key in the session's cookie is the shop's own: it tells the devices apart on this server, and never leaves it. A
timer (here `watch`, elsewhere cron) goes through all that agreed, whoever visits: were a device ticked by the visits of
its customer, the time of its answer would tell of them, and who seldom comes would be missing from the estimates. Set
SHOP_SECRET to keep sessions over a restart: a customer whose session is lost has no button to withdraw with.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flask import Flask, g, redirect, render_template_string, request, session
from werkzeug.wrappers import Response

from hushtally import Client, Survey

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
AGREED = Path("agreed")  # the shop's own list, a file for each key: the state file holds none, only salted hashes
WHERE = "“The device” is this shop's server: what you buy is kept there, where whoever runs it can read it."

PAGE = """
{% if agreed %}<form action="/withdraw" method="post"><button>Count me no longer</button></form>
{% else %}<form action="/agree" method="post">May we count how you shop? <a href="/privacy">What that means</a>
<button>Yes</button></form>{% endif %}
<form action="/buy" method="post">A book for 24.90 <button>Buy</button></form>
"""

app = Flask(__name__)
app.secret_key = os.environ.get("SHOP_SECRET") or secrets.token_hex()


def device(key: str) -> Client:
    return Client(SURVEY, collector=COLLECTOR, state="shop.db", device=key, cohort={"platform": "web"})


def explained() -> str:
    return f"{WHERE}\n\n{g.device.explain()}"


@app.cli.command()
def tick() -> None:
    for key in AGREED.iterdir() if AGREED.exists() else ():
        with device(key.name) as client:
            client.tick()


@app.before_request
def begin() -> None:
    session.permanent = True
    g.device = device(session.setdefault("key", secrets.token_hex(16)))


@app.teardown_request
def end(_: BaseException | None) -> None:
    if "device" in g:
        g.device.close()


@app.get("/")
def shop() -> str:
    return render_template_string(PAGE, agreed=g.device.status().surveys[0].consent)


@app.get("/privacy")
def privacy() -> Response:
    return Response(explained(), mimetype="text/plain")


@app.post("/agree")
def agree() -> Response:
    AGREED.mkdir(exist_ok=True)
    if g.device.grant_consent(shown=explained()):
        (AGREED / session["key"]).touch()
    return redirect("/")


@app.post("/withdraw")
def withdraw() -> Response:
    if g.device.withdraw_consent():  # else the timer's ticks erase the rest
        (AGREED / session["key"]).unlink(missing_ok=True)
    return redirect("/")


@app.post("/buy")
def buy() -> Response:
    g.device.record("purchase", amount=float(request.form.get("amount", 24.90)), category="books")
    return redirect("/")
