"""The transport: what it writes on the wire, whom it trusts, through whom it goes, and when it gives up."""

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
from hushtally.client_sdk.delivery.transport import Answer
from hushtally.client_sdk.delivery.url import checked_url

Serve = Callable[..., Any]

MUST_END = 120.0  # seconds, on a machine however slow


def ask(url: str, timeout: float = MUST_END, body: bytes | None = b"{}") -> Answer:
    return HttpTransport().request("GET" if body is None else "POST", url, body, timeout)


class TestTheWire:
    def test_a_request_is_these_bytes_and_no_others(self, serve: Serve, answer_of: Any) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        assert ask(f"{server.url}/base/v1/reports", body=b'{"a":1}') == Answer(200, b"[]")
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

    def test_a_get_has_no_body(self, serve: Serve, answer_of: Any) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        ask(f"{server.url}/v1/surveys/a/1", body=None)
        assert server.requests[0].startswith(b"GET /v1/surveys/a/1 HTTP/1.1\r\n")
        assert b"Content" not in server.requests[0]

    def test_no_cookie_is_sent_back(self, serve: Serve, answer_of: Any) -> None:
        cookie = "Set-Cookie: id=canary; Path=/"
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]", "200 OK", cookie)))
        ask(server.url + "/a")
        ask(server.url + "/a")
        assert b"canary" not in b"".join(server.requests)
        assert b"ookie" not in b"".join(server.requests)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(self, status: int, serve: Serve, answer_of: Any) -> None:
        """Neither to another host nor to itself: it is an answer like any other, and no good one."""
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

    def test_at_most_so_many_bytes_are_read(self, serve: Serve, answer_of: Any) -> None:
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
    def test_retry_after_in_seconds_or_as_a_date_by_the_senders_own_clock(
        self, headers: list[str], seconds: float | None, serve: Serve, answer_of: Any
    ) -> None:
        server = serve(lambda connection, _: connection.sendall(answer_of(b"", "503 Busy", *headers)))
        assert ask(server.url + "/a").retry_after == seconds


class TestTime:
    def test_a_name_look_up_that_hangs_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither can it be interrupted; after some such, requests fail at once until one of them has ended."""
        answered = threading.Event()

        def hang(*_: Any, **__: Any) -> Any:
            answered.wait(120)
            raise OSError("no such name")

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        try:
            for _ in range(http.MOST_ABANDONED):
                began = time.monotonic()
                with pytest.raises(TimeoutError, match="no answer"):
                    ask("https://hangs.example/a", 0.05)
                assert time.monotonic() - began < 30
            began = time.monotonic()
            with pytest.raises(OSError, match="earlier"):
                ask("https://hangs.example/a", 60.0)
            assert time.monotonic() - began < 30
        finally:
            answered.set()
        for thread in http._abandoned:
            thread.join(MUST_END)
        with pytest.raises(OSError, match="no such name"):
            ask("https://hangs.example/a")

    def test_addresses_share_the_time(self, serve: Serve, answer_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that swallows everything, as IPv6 does in many places, leaves time for the next."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        look_up, connect = socket.getaddrinfo, socket.socket.connect
        deaf, waited = 1, []

        def two(*_: Any, **__: Any) -> Any:
            both = [("127.0.0.1", deaf), ("127.0.0.1", server.port)]
            return [one for address in both for one in look_up(*address, type=socket.SOCK_STREAM)]

        def give_up(one: socket.socket, address: Any) -> None:
            if address[1] == deaf:
                waited.append(one.gettimeout())
                raise TimeoutError("timed out")
            connect(one, address)

        monkeypatch.setattr(socket, "getaddrinfo", two)
        monkeypatch.setattr(socket.socket, "connect", give_up)
        assert ask("http://localhost/a", 200.0).status == 200
        assert len(waited) == 1
        assert 50 < waited[0] <= 100  # half of what was left when its turn came

    def test_a_thread_that_cannot_start_is_no_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ConnectionError):
            ask("http://127.0.0.1:1/a")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem and, signed by it, localhost.pem and elsewhere.pem; unknown.pem is of another authority."""
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
    """Serves TLS with one of the certificates; the test CA is trusted as the environment says."""
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
    def test_a_certificate_of_a_trusted_authority_is_taken(self, secure: Callable[[str], Any]) -> None:
        server = secure("localhost")
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert b"Host: localhost:%d\r\n" % server.port in server.requests[-1]

    @pytest.mark.parametrize("name", ["unknown", "elsewhere"])
    def test_others_are_refused_before_anything_is_sent(self, name: str, secure: Callable[[str], Any]) -> None:
        """One of an authority that is not trusted, and one of another host."""
        server = secure(name)
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://localhost:{server.port}/a", body=b"canary")
        assert b"canary" not in b"".join(server.requests)

    def test_one_of_an_unknown_authority_is_refused(
        self, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, certificates: Path
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "unknown.pem"))
        server = secure("localhost")
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://localhost:{server.port}/a")

    @pytest.mark.parametrize("drip", [False, True])
    def test_a_handshake_that_never_ends_is_cut_off(
        self, drip: bool, serve: Serve, secure: Any, requests_end: Any
    ) -> None:
        """And its thread with it."""

        def behave(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # the head of a long server hello
            while drip:
                connection.sendall(b"\x00")
                time.sleep(0.05)
            while connection.recv(1_000):
                pass

        server = serve(behave, read=False)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"no answer within 1 seconds|timed out"):
            ask(f"https://localhost:{server.port}/a", 1.0)
        assert time.monotonic() - began < 30
        assert requests_end()


class TestProxy:
    @pytest.fixture
    def proxy(self, serve: Serve) -> Any:
        """A proxy that keeps what it was asked for and what it saw pass."""

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

    def test_it_is_asked_for_a_tunnel_and_sees_nothing_else(
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
    def test_other_ways_to_name_it(
        self, written: str, proxy: Any, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        monkeypatch.setenv(*written.format(proxy.port).split("="))
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize("exempt", ["localhost", "*", "example.org,localhost"])
    def test_no_proxy_goes_around_it(
        self, exempt: str, proxy: Any, secure: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = secure("localhost")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exempt)
        assert ask(f"https://localhost:{server.port}/a").status == 200
        assert proxy.requests == []

    def test_plain_http_never_leaves_this_machine_through_one(
        self, proxy: Any, serve: Serve, answer_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
        assert ask(f"{server.url}/a").status == 200
        assert proxy.requests == []

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "the proxy answered 407"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n", "the proxy answered 302"),
            (b"SSH-2.0-OpenSSH\r\n", r"what came back is no HTTP \(BadStatusLine\)"),
            (b"", "closed connection without response"),
        ],
    )
    def test_one_that_refuses_is_not_gone_around(
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
    def test_one_of_no_known_kind_is_not_gone_around_and_learns_nothing(
        self,
        named: str,
        proxy: Any,
        secure: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """One that is named https would be sent its password in the clear: it is not even connected to. The log says
        what is wrong, without the value."""
        server = secure("localhost")
        monkeypatch.setenv("HTTPS_PROXY", named.format(proxy.port))
        with pytest.raises(ConnectionError, match=r"^HTTPS_PROXY must name a proxy as http://host:port, got another"):
            ask(f"https://localhost:{server.port}/a")
        assert server.requests == proxy.requests == []
        assert [record.getMessage() for record in caplog.records] == [http_attempt.PROXY]


def test_a_request_imports_nothing_after_its_module(secure: Callable[[str], Any], serve: Serve, answer_of: Any) -> None:
    """A fork amid an import in another thread would leave a child that can never send."""
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
    def test_https_or_loopback(self, url: str) -> None:
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
    def test_nothing_else(self, url: Any) -> None:
        with pytest.raises(ClientError, match="collector must be"):
            checked_url(url)

    @pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/reports", "/tally/v1/reports"])
    def test_the_path_of_the_reports_is_not_part_of_it(self, path: str) -> None:
        with pytest.raises(ClientError, match="must be the URL to which /v1/reports is added, got"):
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
    def test_a_password_is_not_repeated(self, url: Any) -> None:
        with pytest.raises(ClientError, match=r"^collector must be a URL without a user or password") as raised:
            checked_url(url)
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))
