"""A web shop (Django) in one file. Every session is a device of its own, and all devices are in one state file.

The device is the shop's server, as in web_shop.py. The first lines of web_shop.py explain what this protects.

    pip install '.[collector]' django    # in a checkout
    hushtally survey new shopping-habits.toml --starts today --defaults
    hushtally serve shopping-habits.toml &
    python examples/django_shop.py runserver --noreload 8000 &
    watch -n 900 python examples/django_shop.py tick

In your project, move the parts to their places: GATEWAY to a module that is imported once, DeviceMiddleware to a module
that MIDDLEWARE names, and the tick to a management command that cron runs.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from hushtally import Gateway, GatewayDevice, Survey

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
GATEWAY = Gateway(SURVEY, collector=os.environ.get("COLLECTOR", "http://127.0.0.1:8080"), state="django-shop.db")
DEVICE_NOTE = (
    "“The device” is this shop's server: your purchases are stored there, where the operator of the shop can read them."
)

PAGE = """
{% if agreed %}<form action="/withdraw" method="post">{% csrf_token %}<button>Stop counting my purchases</button></form>
{% else %}<form action="/agree" method="post">{% csrf_token %}May we count how you shop?
<a href="/privacy">What this means</a> <button>Yes</button></form>{% endif %}
<form action="/buy" method="post">{% csrf_token %}A book for 24.90 <button>Buy</button></form>
"""


class DeviceMiddleware:
    """Gives every request the customer's device, as `request.device`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.setdefault("key", secrets.token_hex(16))
        request.device = GATEWAY.device(key, cohort={"platform": "web"})
        return self.get_response(request)


def privacy_page(device: GatewayDevice) -> str:
    """Return the text that a customer agrees to."""
    return f"{DEVICE_NOTE}\n\n{device.explain()}"


@require_GET
def shop(request: HttpRequest) -> HttpResponse:
    agreed = request.device.status().surveys[0].consent
    return HttpResponse(engines["django"].from_string(PAGE).render({"agreed": agreed}, request))


@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    return HttpResponse(privacy_page(request.device), content_type="text/plain; charset=utf-8")


@require_POST
def agree(request: HttpRequest) -> HttpResponse:
    request.device.grant_consent(shown=privacy_page(request.device))
    return HttpResponseRedirect("/")


@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    request.device.withdraw_consent()
    return HttpResponseRedirect("/")


@require_POST
def buy(request: HttpRequest) -> HttpResponse:
    request.device.record("purchase", amount=float(request.POST.get("amount", 24.90)), category="books")
    return HttpResponseRedirect("/")


urlpatterns = [
    path("", shop),
    path("privacy", privacy),
    path("agree", agree),
    path("withdraw", withdraw),
    path("buy", buy),
]


if __name__ == "__main__":
    if sys.argv[1:] == ["tick"]:
        GATEWAY.tick()  # answers and sends for every customer who agreed
    else:
        execute_from_command_line(sys.argv)
