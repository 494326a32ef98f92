"""A web shop (Django) in one file. Every session is a device of its own, and all devices are in one state file.

The device is the shop's server, as in web_shop.py. The first lines of web_shop.py explain what this protects.

    pip install '.[collector]' django    # in a checkout
    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    python examples/django_shop.py runserver --noreload 8000 &
    watch -n 900 python examples/django_shop.py tick

In your project, move DeviceMiddleware to a module that MIDDLEWARE names, `tick` to a management command that cron runs,
and the list of customers who agreed to a model.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from hushtally import Client, Survey

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        f"{__name__}.DeviceMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SHOP_SECRET") or secrets.token_hex(),
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

SURVEY = Survey.load("shopping-habits.toml")
COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
AGREED = Path("agreed")  # the shop's own list, one file per key; the state file stores only salted hashes of the keys
DEVICE_NOTE = (
    "“The device” is this shop's server: your purchases are stored there, where the operator of the shop can read them."
)

PAGE = """
{% if agreed %}<form action="/withdraw" method="post">{% csrf_token %}<button>Stop counting my purchases</button></form>
{% else %}<form action="/agree" method="post">{% csrf_token %}May we count how you shop?
<a href="/privacy">What this means</a> <button>Yes</button></form>{% endif %}
<form action="/buy" method="post">{% csrf_token %}A book for 24.90 <button>Buy</button></form>
"""


def open_client(key: str) -> Client:
    """Return the client of one customer."""
    return Client(SURVEY, collector=COLLECTOR, state="django-shop.db", device=key, cohort={"platform": "web"})


class DeviceMiddleware:
    """Opens the customer's client as `request.client` for the duration of a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.setdefault("key", secrets.token_hex(16))
        with open_client(key) as request.client:
            return self.get_response(request)


def privacy_page(client: Client) -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{client.explain()}"


@require_GET
def shop(request: HttpRequest) -> HttpResponse:
    agreed = request.client.status().surveys[0].consent
    return HttpResponse(engines["django"].from_string(PAGE).render({"agreed": agreed}, request))


@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    return HttpResponse(privacy_page(request.client), content_type="text/plain; charset=utf-8")


@require_POST
def agree(request: HttpRequest) -> HttpResponse:
    AGREED.mkdir(exist_ok=True)
    if request.client.grant_consent(shown=privacy_page(request.client)):
        (AGREED / request.session["key"]).touch()
    return HttpResponseRedirect("/")


@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    if request.client.withdraw_consent():  # otherwise keep the key: the timer's next tick erases the rest
        (AGREED / request.session["key"]).unlink(missing_ok=True)
    return HttpResponseRedirect("/")


@require_POST
def buy(request: HttpRequest) -> HttpResponse:
    request.client.record("purchase", amount=float(request.POST.get("amount", 24.90)), category="books")
    return HttpResponseRedirect("/")


urlpatterns = [
    path("", shop),
    path("privacy", privacy),
    path("agree", agree),
    path("withdraw", withdraw),
    path("buy", buy),
]


def tick() -> None:
    """Tick the device of every customer who agreed."""
    for key in AGREED.iterdir() if AGREED.exists() else ():
        with open_client(key.name) as client:
            client.tick()


if __name__ == "__main__":
    if sys.argv[1:] == ["tick"]:
        tick()
    else:
        execute_from_command_line(sys.argv)
