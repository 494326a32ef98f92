"""The URL of the collector. It is checked when a client is constructed."""

from __future__ import annotations

from urllib.parse import urlsplit

from hushtally.client_sdk.errors import ClientError

EXAMPLE = "https://tally.shop.example"


def checked_url(collector: str) -> str:
    """The base URL without a trailing slash. Raises ClientError unless it is https, or http to this machine."""
    try:
        parts = urlsplit(collector)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        host = None
    # urlsplit silently removes characters that are not printable
    plain = isinstance(collector, str) and collector.isascii() and collector.isprintable()
    if "@" in repr(collector):  # the URL may contain a password, so the message does not quote it
        raise ClientError(f"collector must be a URL without a user or password, like {EXAMPLE}")
    if not host or not plain or parts.scheme not in ("https", "http") or set(collector) & set("?# \\"):
        raise ClientError(f"collector must be a URL like {EXAMPLE}, without query or fragment, got {collector!r}")
    if parts.path.rstrip("/").endswith(("/v1", "/v1/reports")):
        raise ClientError(f"collector must be the base URL, without /v1/reports, got {collector!r}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ClientError(f"collector must be an https URL (plain http is for this machine only), got {collector!r}")
    return collector.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # costs milliseconds, which a device with an https URL does not pay

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
