"""The HTTP transport: its bytes, its time limits, TLS, proxies and the check of the URL."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from hushtally import ClientError
from hushtally.client_sdk.delivery import http, http_attempt
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.delivery.url import checked_url

Serve = Callable[..., Any]

MUST_END = 120.0  # seconds, even on a very slow machine


def ask(url: str, timeout: float = MUST_END, body: bytes | None = b"{}") -> Response:
    return HttpTransport().request("GET" if body is None else "POST", url, body, timeout)


class TestRequests:
    def test_are_exactly_these_bytes(self, serve: Serve, answer_of: Any) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        assert ask(f"{server.url}/base/v1/reports", body=b'{"a":1}') == Response(200, b"[]")
        assert server.requests == [
            b"POST /base/v1/reports HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: hushtally\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Connection: close\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: 7\r\n\r\n"
            b'{"a":1}' % server.port
        ]

    def test_with_get_have_no_body(self, serve: Serve, answer_of: Any) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        ask(f"{server.url}/v1/surveys/a/1", body=None)
        assert server.requests[0].startswith(b"GET /v1/surveys/a/1 HTTP/1.1\r\n")
        assert b"Content" not in server.requests[0]

    def test_return_no_cookie(self, serve: Serve, answer_of: Any) -> None:
        cookie = "Set-Cookie: id=canary; Path=/"
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]", "200 OK", cookie)))
        ask(server.url + "/a")
        ask(server.url + "/a")
        assert b"canary" not in b"".join(server.requests)
        assert b"ookie" not in b"".join(server.requests)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_follow_no_redirect(self, status: int, serve: Serve, answer_of: Any) -> None:
        """A redirect is a response like any other, to another host or to the same one."""
        elsewhere = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        for target in (elsewhere.url, "/again", "//elsewhere.example/", "http://[bad"):
            server = serve(
                lambda connection, _, target=target: connection.sendall(
                    answer_of(b"", f"{status} Moved", f"Location: {target}")
                )
            )
            assert ask(server.url + "/a").status == status
            assert len(server.requests) == 1
        assert elsewhere.requests == []

    def test_read_a_limited_number_of_bytes(self, serve: Serve, answer_of: Any) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"x" * 10_000_000)))
        assert len(ask(server.url + "/a").body) == 65_536

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            (["Retry-After: 120"], 120.0),
            (["Retry-After:  7 "], 7.0),
            (["Retry-After: " + "9" * 5_000], 999_999_999_999.0),
            (["Retry-After: Mon, 02 Nov 2026 10:00:30 GMT", "Date: Mon, 02 Nov 2026 10:00:00 GMT"], 30.0),
            (["Retry-After: Mon, 02 Nov 2026 09:00:00 GMT", "Date: Mon, 02 Nov 2026 10:00:00 GMT"], 0.0),
            (["Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"], 0.0),
            (["Retry-After: Mon, 02 Nov 2026 10:00:30 GMT", "Date: yesterday"], None),
            (["Retry-After: -5"], None),
            (["Retry-After: 1.5"], None),
            (["Retry-After: soon"], None),
            (["Retry-After: ٣"], None),
            (["Retry-After:"], None),
            ([], None),
        ],
    )
    def test_read_retry_after_as_seconds_or_as_a_date_on_the_clock_of_the_server(
        self, headers: list[str], seconds: float | None, serve: Serve, answer_of: Any
    ) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"", "503 Busy", *headers)))
        assert ask(server.url + "/a").retry_after == seconds


class TestTimeLimits:
    def test_a_blocked_name_look_up_is_abandoned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look-up cannot be interrupted. After several blocked ones, requests fail at once until one of them ends."""
        answered = threading.Event()

        def hang(*_: Any, **__: Any) -> Any:
            answered.wait(120)
            raise OSError("no such name")

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        try:
            for _ in range(http.MAX_ABANDONED):
                began = time.monotonic()
                with pytest.raises(TimeoutError, match="no response"):
                    ask("https://hangs.example/a", 0.05)
                assert time.monotonic() - began < 30
            began = time.monotonic()
            with pytest.raises(OSError, match="earlier requests are still blocked"):
                ask("https://hangs.example/a", 60.0)
            assert time.monotonic() - began < 30
        finally:
            answered.set()
        for thread in http._abandoned:
            thread.join(MUST_END)
        with pytest.raises(OSError, match="no such name"):
            ask("https://hangs.example/a")

    def test_the_addresses_of_a_host_share_the_time(
        self, serve: Serve, answer_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An address that never answers leaves time for the next one. IPv6 fails like this in many networks."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        look_up, connect = socket.getaddrinfo, socket.socket.connect
        silent, waited = 1, []

        def two(*_: Any, **__: Any) -> Any:
            both = [("127.0.0.1", silent), ("127.0.0.1", server.port)]
            return [one for address in both for one in look_up(*address, type=socket.SOCK_STREAM)]

        def give_up(one: socket.socket, address: Any) -> None:
            if address[1] == silent:
                waited.append(one.gettimeout())
                raise TimeoutError("timed out")
            connect(one, address)

        monkeypatch.setattr(socket, "getaddrinfo", two)
        monkeypatch.setattr(socket.socket, "connect", give_up)
        assert ask("http://localhost/a", 200.0).status == 200
        assert len(waited) == 1
        assert 50 < waited[0] <= 100  # half of the time that was left

    def test_a_thread_that_cannot_start_is_a_connection_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ConnectionError):
            ask("http://127.0.0.1:1/a")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, localhost.pem and elsewhere.pem signed by it, and unknown.pem of another authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, of in (("localhost", authority), ("elsewhere", authority), ("unknown", stranger)):
        issued = of.issue_cert("elsewhere" if name == "elsewhere" else "localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    return folder


@pytest.fixture
def secure(
    certificates: Path, serve: Serve, answer_of: Any, whole_request: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Any]]:
    """Serves TLS with one of the certificates. The environment makes the test CA trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    http_attempt._context.cache_clear()

    def start(name: str) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{name}.pem")

        def behave(connection: socket.socket, _: bytes) -> None:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                server.requests.append(whole_request(wrapped))
                wrapped.sendall(answer_of(b"[]"))

        server = serve(behave, read=False)
        server.requests.clear()
        return server

    yield start
    http_attempt._context.cache_clear()


class TestTls:
    def test_a_certificate_of_a_trusted_authority_is_accepted(self, secure: Callable[[str], Any]) -> None:
        server = secure("localhost")
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert b"Host: localhost:%d\r\n" % server.port in server.requests[-1]

    @pytest.mark.parametrize("name", ["unknown", "elsewhere"])
    def test_other_certificates_are_refused_before_anything_is_sent(
        self, name: str, secure: Callable[[str], Any]
    ) -> None:
        """The authority is not trusted, or the certificate is for another host."""
        server = secure(name)
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://localhost:{server.port}/a", body=b"canary")
        assert b"canary" not in b"".join(server.requests)

    def test_a_certificate_of_an_unknown_authority_is_refused(
        self, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, certificates: Path
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "unknown.pem"))
        server = secure("localhost")
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://localhost:{server.port}/a")

    @pytest.mark.parametrize("drip", [False, True])
    def test_an_endless_handshake_is_cancelled(self, drip: bool, serve: Serve, secure: Any, requests_end: Any) -> None:
        """The thread of the request ends, too."""

        def behave(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # the beginning of a long server hello
            while drip:
                connection.sendall(b"\x00")
                time.sleep(0.05)
            while connection.recv(1_000):
                pass

        server = serve(behave, read=False)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"no response within 1 seconds|timed out"):
            ask(f"https://localhost:{server.port}/a", 1.0)
        assert time.monotonic() - began < 30
        assert requests_end()


class TestProxy:
    @pytest.fixture
    def proxy(self, serve: Serve) -> Any:
        """A proxy that records its requests and the bytes that it forwards."""

        def behave(connection: socket.socket, request: bytes) -> None:
            host, _, port = request.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as upstream:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                back = threading.Thread(target=pump, args=(upstream, connection, seen), daemon=True)
                back.start()
                pump(connection, upstream, seen)
                back.join(MUST_END)

        seen: list[bytes] = []
        server = serve(behave)
        server.seen = seen
        return server

    def test_a_proxy_provides_a_tunnel_and_sees_nothing_else(
        self, proxy: Any, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        monkeypatch.setenv("HTTPS_PROXY", f"http://us%40er:pass@127.0.0.1:{proxy.port}")
        assert ask(f"https://localhost:{server.port}/a", body=b"canary").status == 200
        target = b"localhost:%d" % server.port
        assert proxy.requests == [
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: hushtally\r\nProxy-Authorization: Basic %b\r\n\r\n"
            % (target, target, base64.b64encode(b"us@er:pass"))
        ]
        assert proxy.seen
        assert b"canary" not in b"".join(proxy.seen)
        assert b"roxy" not in server.requests[-1]

    @pytest.mark.parametrize("written", ["https_proxy=127.0.0.1:{}", "HTTPS_PROXY=HTTP://127.0.0.1:{}/"])
    def test_other_spellings_of_the_environment_variable_work(
        self, written: str, proxy: Any, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        monkeypatch.setenv(*written.format(proxy.port).split("="))
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize("exempt", ["localhost", "*", "example.org,localhost"])
    def test_no_proxy_bypasses_the_proxy(
        self, exempt: str, proxy: Any, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exempt)
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert proxy.requests == []

    def test_plain_http_never_uses_a_proxy(
        self, proxy: Any, serve: Serve, answer_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        assert ask(f"{server.url}/a").status == 200
        assert proxy.requests == []

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                "the proxy answered with status 407",
            ),
            (
                b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n",
                "the proxy answered with status 302",
            ),
            (b"SSH-2.0-OpenSSH\r\n", r"the response is not HTTP \(BadStatusLine\)"),
            (b"", "closed connection without response"),
        ],
    )
    def test_a_proxy_that_refuses_is_not_bypassed(
        self, said: bytes, why: str, serve: Serve, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        proxy = serve(lambda connection, _: connection.sendall(said))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(OSError, match=why):
            ask(f"https://localhost:{server.port}/a")
        assert server.requests == []

    @pytest.mark.parametrize(
        "named",
        [
            "https://user:canary@127.0.0.1:{}",
            "socks5://user:canary@127.0.0.1:{}",
            "http://",
            "http://127.0.0.1:0",
            "http://127.0.0.1:canary",
            "http://[::1",
        ],
    )
    def test_an_unsupported_proxy_is_not_bypassed_and_learns_nothing(
        self,
        named: str,
        proxy: Any,
        secure: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """An https proxy would receive its password in the clear, so there is no connection.

        The log states the problem without the value.
        """
        server = secure("localhost")
        monkeypatch.setenv("HTTPS_PROXY", named.format(proxy.port))
        with pytest.raises(ConnectionError, match=r"^HTTPS_PROXY must be a URL like http://host:port; proxies"):
            ask(f"https://localhost:{server.port}/a")
        assert server.requests == proxy.requests == []
        assert [record.getMessage() for record in caplog.records] == [http_attempt.PROXY]


def test_a_request_imports_nothing_more(secure: Callable[[str], Any], serve: Serve, answer_of: Any) -> None:
    """If the process forked during an import in another thread, the child could never send."""
    server = serve(lambda connection, _: connection.sendall(answer_of(b"{}", "200 OK", "Retry-After: x", "Date: y")))
    safe = secure("localhost")
    script = f"""
import sys
from hushtally.client_sdk.delivery import http_attempt
from hushtally.client_sdk.delivery.http import HttpTransport
before = set(sys.modules)
for url, seconds in (
    ("http://localhost:{server.port}/a", {MUST_END}),
    ("https://localhost:{safe.port}/a", {MUST_END}),
    ("https://nowhere.invalid/a", 5.0),
):
    try:
        HttpTransport().request("POST", url, b"{{}}", seconds)
    except OSError:
        pass
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert len(server.requests) == 1
    assert safe.requests


def pump(source: socket.socket, target: socket.socket, seen: list[bytes]) -> None:
    with suppress(OSError):
        while part := source.recv(65_536):
            seen.append(part)
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "https://tally.shop.example",
            "https://tally.shop.example:8443/base",
            "https://[2001:db8::1]:8443",
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://127.8.8.8",
            "http://[::1]:8080",
        ],
    )
    def test_https_or_loopback_is_accepted(self, url: str) -> None:
        assert checked_url(url) == checked_url(url + "/") == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://tally.shop.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://0.0.0.0:80",
            "http://2130706433",
            "http://[::ffff:8.8.8.8]",
            "ftp://tally.shop.example",
            "file:///etc/passwd",
            "tally.shop.example",
            "https://",
            "https://user@tally.shop.example",
            "https://:secret@tally.shop.example",
            "https://good.example\\@evil.example",
            "https://tally.shop.example?x=1",
            "https://tally.shop.example#x",
            "https://tally.shop.example/#",
            "https://tally.shop\n.example",
            "https://tally.shop.example/a b",
            "https://tally.böse.example",
            "https://tally.shop.example:port",
            "https://[::1",
            "",
            None,
            7,
            b"https://tally.shop.example",
        ],
    )
    def test_every_other_url_is_refused(self, url: Any) -> None:
        with pytest.raises(ClientError, match="collector must be"):
            checked_url(url)

    @pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/reports", "/tally/v1/reports"])
    def test_the_path_of_the_reports_is_refused(self, path: str) -> None:
        with pytest.raises(ClientError, match="must be the base URL, without /v1/reports, got"):
            checked_url(f"https://tally.example{path}")

    @pytest.mark.parametrize(
        "url",
        [
            "https://user:hunter2@tally.shop.example",
            "http://user:hunter2@tally.shop.example",
            "https://user:hunter2@",
            "https://user:hunter2@[::1",
            "user:hunter2@tally.shop.example",
            "https://tally.shop.example/hunter2@",
            b"https://user:hunter2@tally.shop.example",
        ],
    )
    def test_the_message_does_not_contain_a_password(self, url: Any) -> None:
        with pytest.raises(ClientError, match=r"^collector must be a URL without a user or password") as raised:
            checked_url(url)
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))
