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

The key in the session's cookie separates the devices on this server and never leaves the server. A timer (here `watch`,
in production cron) ticks every device whose customer agreed, even without a visit. If a visit ticked the device, the
time of its answer would reveal the visit, and customers who seldom visit would be missing from the estimates. Set
SHOP_SECRET so that sessions survive a restart. A customer whose session is lost has no button to withdraw consent.
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
AGREED = Path("agreed")  # the shop's own list, one file per key; the state file stores only salted hashes of the keys
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


def open_client(key: str) -> Client:
    """Return the client of one customer."""
    return Client(SURVEY, collector=COLLECTOR, state="shop.db", device=key, cohort={"platform": "web"})


def privacy_page() -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{g.client.explain()}"


@app.cli.command()
def tick() -> None:
    """Tick the device of every customer who agreed."""
    for key in AGREED.iterdir() if AGREED.exists() else ():
        with open_client(key.name) as client:
            client.tick()


@app.before_request
def begin() -> None:
    session.permanent = True
    g.client = open_client(session.setdefault("key", secrets.token_hex(16)))


@app.teardown_request
def end(_: BaseException | None) -> None:
    if "client" in g:
        g.client.close()


@app.get("/")
def shop() -> str:
    return render_template_string(PAGE, agreed=g.client.status().surveys[0].consent)


@app.get("/privacy")
def privacy() -> Response:
    return Response(privacy_page(), mimetype="text/plain")


@app.post("/agree")
def agree() -> Response:
    AGREED.mkdir(exist_ok=True)
    if g.client.grant_consent(shown=privacy_page()):
        (AGREED / session["key"]).touch()
    return redirect("/")


@app.post("/withdraw")
def withdraw() -> Response:
    if g.client.withdraw_consent():  # otherwise keep the key: the timer's next tick erases the rest
        (AGREED / session["key"]).unlink(missing_ok=True)
    return redirect("/")


@app.post("/buy")
def buy() -> Response:
    g.client.record("purchase", amount=float(request.form.get("amount", 24.90)), category="books")
    return redirect("/")
