"""A web shop (Flask). Every session is a device of its own, and all devices are in one state file.

The device is the shop's server. It stores each customer's purchases in plain form, in shop.db, until the survey no
longer needs them. Use this in a shop that counts for someone else, or whose analysts need only counts, not purchases.
Randomization protects customers from everyone behind that server: the network, the collector and the analyst. It does
not protect them from the shop, or from anyone who breaks into its server. For that protection, the customer's own
computer must be the device, as in command_line.py.

    pip install '.[collector]'    # in a checkout
    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    flask --app examples/web_shop.py run &
    watch -n 900 flask --app examples/web_shop.py tick

The key in the session's cookie separates the devices on this server and never leaves it. A timer (here `watch`,
elsewhere cron) ticks the gateway, which answers for every customer who agreed, whoever visits. If a visit ticked, the
time of an answer would reveal visits, and customers who seldom visit would be missing from the estimates. Set
SHOP_SECRET so that sessions survive a restart: a customer whose session is lost has no button to withdraw consent.
"""

from __future__ import annotations

import os
import secrets

from flask import Flask, redirect, render_template_string, request, session
from werkzeug.wrappers import Response

from hushtally import Gateway, GatewayDevice, Survey

SURVEY = Survey.load("shopping-habits.toml")
GATEWAY = Gateway(SURVEY, collector=os.environ.get("COLLECTOR", "http://127.0.0.1:8080"), state="shop.db")
DEVICE_NOTE = (
    "“The device” is this shop's server: your purchases are stored there, where the operator of the shop can read them."
)

PAGE = """
{% if agreed %}<form action="/withdraw" method="post"><button>Stop counting my purchases</button></form>
{% else %}<form action="/agree" method="post">May we count how you shop? <a href="/privacy">What this means</a>
<button>Yes</button></form>{% endif %}
<form action="/buy" method="post">A book for 24.90 <button>Buy</button></form>
"""

app = Flask(__name__)
app.secret_key = os.environ.get("SHOP_SECRET") or secrets.token_hex()


def device() -> GatewayDevice:
    """Return the device of the customer who visits."""
    return GATEWAY.device(session["key"], cohort={"platform": "web"})


def privacy_page() -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{device().explain()}"


@app.cli.command()
def tick() -> None:
    """Answer and send for every customer who agreed."""
    GATEWAY.tick()


@app.before_request
def begin() -> None:
    session.permanent = True
    session.setdefault("key", secrets.token_hex(16))


@app.get("/")
def shop() -> str:
    return render_template_string(PAGE, agreed=device().status().surveys[0].consent)


@app.get("/privacy")
def privacy() -> Response:
    return Response(privacy_page(), mimetype="text/plain")


@app.post("/agree")
def agree() -> Response:
    device().grant_consent(shown=privacy_page())
    return redirect("/")


@app.post("/withdraw")
def withdraw() -> Response:
    device().withdraw_consent()
    return redirect("/")


@app.post("/buy")
def buy() -> Response:
    device().record("purchase", amount=float(request.form.get("amount", 24.90)), category="books")
    return redirect("/")
