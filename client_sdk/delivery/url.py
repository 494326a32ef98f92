"""The collector's URL, checked when the client is constructed."""

from __future__ import annotations

from urllib.parse import urlsplit

from hushtally.client_sdk.errors import ClientError


def checked_url(collector: str) -> str:
    """The collector's base URL without a trailing slash; ClientError unless it is https, or http to loopback."""
    try:
        parts = urlsplit(collector)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        host = None
    # a user, a query or a fragment has no use here, and urlsplit passes over what is not printable
    plain = isinstance(collector, str) and collector.isascii() and collector.isprintable()
    if "@" in repr(collector):  # which may hold a password
        raise ClientError("collector must be a URL without a user or password, like https://tally.shop.example")
    if not host or not plain or parts.scheme not in ("https", "http") or set(collector) & set("?# \\"):
        raise ClientError(f"collector must be a URL like https://tally.shop.example, got {collector!r}")
    if parts.path.rstrip("/").endswith(("/v1", "/v1/reports")):
        raise ClientError(f"collector must be the URL to which /v1/reports is added, got {collector!r}")
    if parts.scheme == "http" and not _loopback(host):
        raise ClientError(f"collector must be https (plain http goes to this machine only), got {collector!r}")
    return collector.rstrip("/")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # costs a device milliseconds that none of those with https has to spend

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
