"""The HTTP client of webhooks, against servers that behave well, badly, or as no server should."""

import asyncio
import contextlib
import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.authority import Authority
from tests.support.http_client import FixedResolver, http_client
from tests.support.raw_server import Script, Wire, always, answering, http, raw_server
from tests.support.receiver import receiver
from tilld.config import USUAL
from tilld.webhooks.http.client import MAX_RETRY_AFTER, HttpClient, Outcome, retry_after
from tilld.webhooks.http.resolver import MOST_LOOKUPS, Resolver
from tilld.webhooks.http.targets import Targets

OPENED = ("127.0.0.0/8", "localhost")
# A busy machine must not fail a test whose subject is not the time.
PATIENT = USUAL._replace(webhook_seconds=30, webhook_body_seconds=30)
# Time-outs are the subject.
HASTY = USUAL._replace(webhook_seconds=0.3, webhook_body_seconds=0.1)
NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
CLOSED = "the connection was closed without an answer"
NOT_HTTP = "the answer is not valid HTTP, or its head is too long"
BODY = b'{"type":"invoice.paid"}'


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """A client that may reach this machine."""
    async with http_client(OPENED, PATIENT, clock=lambda: NOW) as client:
        yield client


@pytest.fixture
async def hasty_client() -> AsyncIterator[HttpClient]:
    """A client whose attempts time out after 0.3 s."""
    async with http_client(OPENED, HASTY) as client:
        yield client


async def post(client: HttpClient, url: str) -> Outcome:
    async with asyncio.timeout(20):
        return await client.post(url, {"webhook-id": "1"}, BODY)


async def outcome_of(client: HttpClient, script: Script) -> Outcome:
    """Return the outcome of one post to a server."""
    async with raw_server(script) as server:
        return await post(client, server.url)


async def hang(wire: Wire) -> None:
    """Read a request, and never answer."""
    await wire.request()
    await wire.until_closed()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_a_status_of_2xx_is_a_success(client: HttpClient, status: int) -> None:
    outcome = await outcome_of(
        client, answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    )

    assert outcome.succeeded
    assert outcome[:3] == (status, "", None)
    assert 0 < outcome.seconds < 20


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 429, 500, 502, 503, 599, 999])
async def test_another_status_is_a_failure(client: HttpClient, status: int) -> None:
    outcome = await outcome_of(client, answering(http(status, body=b"why")))

    assert not outcome.succeeded
    assert outcome[:3] == (status, f"status {status}", None)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_a_failure(client: HttpClient, status: int) -> None:
    async with receiver((status, {"location": "/elsewhere"})) as shop:
        outcome = await post(client, shop.url)

        assert outcome[:2] == (status, "redirected; webhooks do not follow redirects")
        assert (await shop.next()).line == "POST /hook?shop=1 HTTP/1.1"
        assert shop.deliveries.empty()


async def test_the_request_is_what_the_caller_gives(client: HttpClient) -> None:
    async with receiver((200, {"set-cookie": "a=b; Path=/"}), (200, {})) as shop:
        for _ in range(2):
            await client.post(shop.url, {"webhook-id": "1", "webhook-signature": "v1,a="}, BODY)
            line, headers, body = await shop.next()

            assert (line, body) == ("POST /hook?shop=1 HTTP/1.1", BODY)
            assert headers == {
                "host": shop.url.split("/")[2],
                "user-agent": "Till/0.2.0",
                "content-type": "application/json",
                "content-length": str(len(BODY)),
                "webhook-id": "1",
                "webhook-signature": "v1,a=",
            }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", 0), ("7", 7), ("86400", 86_400), ("86401", 86_400), ("9" * 5000, 86_400)),
        *(("-1", None), ("1.5", None), ("+1", None), ("", None), ("soon", None), ("nan", None), ("٣", None)),
        ("Fri, 27 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 27 Nov 2026 13:00:30 +0100", 30),
        ("Friday, 27-Nov-26 12:01:00 GMT", 60),
        ("Fri, 27 Nov 2026 11:59:00 GMT", 0),
        ("Tue, 01 Jan 2999 00:00:00 GMT", 86_400),
        *(("Fri, 32 Nov 2026 12:00:00 GMT", None), ("Fri, 27 Nov 99999 12:00:00 GMT", None)),
        ("Fri, 27 Nov 2026 12:00:30 -0000", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_that_the_receiver_asks_for(
    client: HttpClient, status: int, text: str, seconds: float | None
) -> None:
    field = f"Retry-After: {text[:4000]}"
    outcome = await outcome_of(client, answering(http(status, *([field] if text.isascii() else []))))

    assert outcome.retry_after == seconds
    assert retry_after(text, NOW) == seconds


@pytest.mark.parametrize("status", [200, 301, 410, 500])
async def test_other_answers_cannot_ask_for_a_wait(client: HttpClient, status: int) -> None:
    assert (await outcome_of(client, answering(http(status, "Retry-After: 7")))).retry_after is None


@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?[0-9A-Z]+\Z"))
def test_any_wait_is_none_or_within_bounds(text: str) -> None:
    seconds = retry_after(text, NOW)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


async def test_small_answers_keep_the_connection(client: HttpClient) -> None:
    answers = (
        http(200, body=b"ok"),
        http(503, body=b"later"),
        b"HTTP/1.1 204 X\r\n\r\n",
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        http(200, body=b"a" * 16 * 1024),
        http(200),
    )
    async with raw_server(answering(*answers)) as server:
        statuses = [(await post(client, server.url)).status for _ in answers]

        assert statuses == [200, 503, 204, 200, 200, 200]
        assert server.connections == 1


async def test_a_receiver_that_never_answers_times_out(hasty_client: HttpClient) -> None:
    async with raw_server(hang) as server:
        outcome = await post(hasty_client, server.url)

        assert outcome[:3] == (None, "timed out after 0.3 s", None)
        assert 0.3 <= outcome.seconds < 20
        assert await server.end() is None


async def test_a_receiver_that_answers_a_byte_at_a_time_times_out(hasty_client: HttpClient) -> None:
    async def dribble(wire: Wire) -> None:
        await wire.request()
        while True:
            for byte in b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 1000:
                await wire.send(bytes([byte]))
                await asyncio.sleep(0.01)

    async with raw_server(dribble) as server:
        assert (await post(hasty_client, server.url)).error == "timed out after 0.3 s"
        assert isinstance(await server.end(), ConnectionError)


async def test_a_host_that_never_resolves_times_out() -> None:
    class Silent(FixedResolver):
        async def resolve(self, *args: object, **options: object) -> list[object]:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError

    async with http_client(OPENED, HASTY, resolver=Silent()) as client:
        assert (await post(client, "https://shop.example/")).error == "timed out after 0.3 s"


async def test_a_tls_handshake_that_never_ends_times_out(hasty_client: HttpClient) -> None:
    async with raw_server(Wire.until_closed) as server:
        assert (await post(hasty_client, f"https://{server.address}/")).error == "timed out after 0.3 s"
        assert await server.end() is None


async def test_an_endless_body_is_a_success_and_is_not_read(client: HttpClient) -> None:
    sent = 0

    async def flood(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.send(b"HTTP/1.1 200 X\r\nConnection: keep-alive\r\n\r\n")
        while True:
            await wire.send(b"a" * 65536)
            sent += 65536

    async with raw_server(flood) as server:
        assert (await post(client, server.url)).succeeded
        assert isinstance(await server.end(), ConnectionError)
    # The buffers of two sockets.
    assert sent < 16 * 2**20


def promising(size: int) -> Script:
    """Return a script that announces a body and does not send it."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(f"HTTP/1.1 200 X\r\nContent-Length: {size}\r\n\r\na".encode())
        await wire.until_closed()

    return script


async def test_a_large_body_is_not_waited_for(client: HttpClient) -> None:
    assert (await outcome_of(client, promising(16 * 1024 + 1))).succeeded


async def test_a_body_that_never_comes_is_a_success() -> None:
    for intervals in (PATIENT._replace(webhook_seconds=2), PATIENT._replace(webhook_body_seconds=0.1)):
        async with raw_server(promising(100)) as server, http_client(OPENED, intervals) as client:
            outcome = await post(client, server.url)

            assert outcome.succeeded
            assert outcome.seconds < 2
            assert await server.end() is None


@pytest.mark.parametrize(
    "end",
    [
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok",
        b"Content-Length: 100\r\n\r\nok",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_broken_body_is_a_success(client: HttpClient, end: bytes) -> None:
    assert (await outcome_of(client, answering(b"HTTP/1.1 200 X\r\n" + end))).succeeded


async def test_a_gzip_bomb_is_not_decompressed(client: HttpClient) -> None:
    """A decompressed body would exceed the limit of a body, and close the connection."""
    bomb = gzip.compress(bytes(10 * 2**20))
    assert len(bomb) < 16 * 1024
    answer = http(200, "Content-Encoding: gzip", body=bomb)

    async with raw_server(answering(answer, http(200))) as server:
        assert (await post(client, server.url)).succeeded
        assert (await post(client, server.url)).succeeded
        assert server.connections == 1


@pytest.mark.parametrize("field", [b"A: " + b"b" * 70_000, b"A" * 70_000 + b": b", b"A: b\r\n" * 10_000])
async def test_a_huge_head_is_a_failure(client: HttpClient, field: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 X\r\n" + field)
        await wire.until_closed()

    async with raw_server(script) as server:
        assert (await post(client, server.url))[:2] == (None, NOT_HTTP)
        await server.end()


@pytest.mark.parametrize(
    "answer",
    [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 OK\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"<html>"],
)
async def test_an_answer_that_is_not_http_is_a_failure(client: HttpClient, answer: bytes) -> None:
    assert (await outcome_of(client, answering(answer)))[:2] == (None, NOT_HTTP)


async def test_interim_answers_are_skipped(client: HttpClient) -> None:
    interim = b"HTTP/1.1 103 X\r\nLink: <a>\r\n\r\n" * 3

    assert (await outcome_of(client, answering(interim + http(202)))).status == 202


async def test_endless_interim_answers_time_out(hasty_client: HttpClient) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        while True:
            await wire.send(b"HTTP/1.1 102 X\r\n\r\n")
            await asyncio.sleep(0.01)

    assert (await outcome_of(hasty_client, script)).error == "timed out after 0.3 s"


async def test_a_closed_port_is_a_failure(client: HttpClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        outcome = await post(client, f"http://127.0.0.1:{closed.getsockname()[1]}/")

    assert outcome[:2] == (None, "connection refused")


async def test_an_unknown_host_is_a_failure(client: HttpClient) -> None:
    assert (await post(client, "https://shop.invalid/"))[:2] == (None, "the host name cannot be resolved")


async def test_a_connection_closed_without_an_answer_is_a_failure(client: HttpClient) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()

    async with raw_server(script) as server:
        assert (await post(client, server.url))[:2] == (None, CLOSED)
        assert server.connections == 1


async def test_a_connection_that_is_reset_is_a_failure(client: HttpClient) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.writer.transport.abort()

    assert (await outcome_of(client, script))[:2] == (None, CLOSED)


async def test_a_kept_connection_that_closes_is_replaced(client: HttpClient) -> None:
    """The receiver may close it at the moment of the post."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(http(200))
        await wire.request()

    async with raw_server(script) as server:
        assert (await post(client, server.url)).succeeded
        assert (await post(client, server.url)).succeeded
        assert server.connections == 2


async def test_a_connection_that_replaces_another_may_fail(client: HttpClient) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        if server.connections == 1:
            await wire.send(http(200))
            await wire.request()

    async with raw_server(script) as server:
        assert (await post(client, server.url)).succeeded
        assert (await post(client, server.url)).error == CLOSED
        assert server.connections == 2


@pytest.mark.parametrize("status", [200, 413])
async def test_an_answer_before_the_request_is_read_counts(client: HttpClient, status: int) -> None:
    async def script(wire: Wire) -> None:
        await wire.send(http(status))
        await read.wait()

    read = asyncio.Event()
    async with raw_server(script) as server:
        # More than the buffers of the sockets, less than what aiohttp warns of.
        outcome = await client.post(server.url, {}, bytes(2**20))
        read.set()
        assert outcome.status == status
        await server.end()


async def test_a_canceled_post_closes_its_connection(client: HttpClient) -> None:
    received = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        received.set()
        await wire.until_closed()

    async with raw_server(script) as server:
        posting = asyncio.create_task(post(client, server.url))
        await received.wait()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        assert await server.end() is None
    assert (await outcome_of(client, answering(http(200)))).succeeded


async def answer_once(wire: Wire) -> None:
    """Answer a request, and keep the connection until the client closes it."""
    await wire.request()
    await wire.send(http(200))
    await wire.until_closed()


async def test_an_idle_connection_is_closed() -> None:
    intervals = PATIENT._replace(webhook_idle_seconds=0.05)
    async with raw_server(answer_once) as server, http_client(OPENED, intervals) as client:
        for connections in (1, 2):
            assert (await post(client, server.url)).succeeded
            async with asyncio.timeout(10):
                assert await server.end() is None
            assert server.connections == connections


async def test_close_closes_kept_connections() -> None:
    async with raw_server(answer_once) as server:
        async with http_client(OPENED, PATIENT) as client:
            assert (await post(client, server.url)).succeeded
        assert await server.end() is None


async def test_a_client_that_never_posted_closes() -> None:
    await HttpClient(Targets()).close()


async def test_a_proxy_of_the_environment_is_not_used(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to any address."""
    async with raw_server(always(http(500))) as proxy, raw_server(always(http(200))) as shop:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        assert (await post(client, shop.url)).succeeded
        assert proxy.connections == 0


class TestTLS:
    """Receivers with certificates of a test's authority."""

    @staticmethod
    def context(directory: Path, authority: Authority, *names: str, **fields: object) -> ssl.SSLContext:
        pair = authority.issue(directory / "pair", *names, **fields)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.tls_cert, pair.tls_key)
        return context

    @staticmethod
    async def outcome(served: ssl.SSLContext, trusted: ssl.SSLContext | None, host: str) -> Outcome:
        dns = FixedResolver(["127.0.0.1"])
        async with (
            raw_server(always(http(200)), tls=served) as server,
            http_client(OPENED, PATIENT, resolver=dns, tls=trusted) as client,
        ):
            return await post(client, f"https://{host}:{server.port}/hook")

    @pytest.mark.parametrize("host", ["shop.example", "127.0.0.1"])
    async def test_a_certificate_that_fits(self, tmp_path: Path, host: str) -> None:
        authority = Authority()
        served = self.context(tmp_path, authority, "shop.example", "127.0.0.1")

        assert (await self.outcome(served, authority.trusting(), host)).succeeded

    @pytest.mark.parametrize(
        ("host", "name"), [("shop.example", "other.example"), ("127.0.0.1", "127.0.0.2")]
    )
    async def test_a_certificate_of_another_host(self, tmp_path: Path, host: str, name: str) -> None:
        authority = Authority()
        served = self.context(tmp_path, authority, name)

        outcome = await self.outcome(served, authority.trusting(), host)

        assert outcome[:2] == (None, "the certificate does not fit the host")

    async def test_an_expired_certificate(self, tmp_path: Path) -> None:
        authority = Authority()
        served = self.context(
            tmp_path,
            authority,
            "shop.example",
            not_after=datetime(2020, 1, 1, tzinfo=UTC),
            not_before=datetime(2019, 1, 1, tzinfo=UTC),
        )

        outcome = await self.outcome(served, authority.trusting(), "shop.example")

        assert outcome[:2] == (None, "the certificate has expired")

    async def test_a_certificate_of_an_unknown_issuer(self, tmp_path: Path) -> None:
        served = self.context(tmp_path, Authority(), "shop.example")

        for trusted in (None, Authority().trusting()):
            outcome = await self.outcome(served, trusted, "shop.example")
            assert outcome.status is None
            assert outcome.error == "the certificate has no trusted issuer; send the whole chain"

    async def test_a_server_without_tls(self, client: HttpClient) -> None:
        async def script(wire: Wire) -> None:
            await wire.send(b"HTTP/1.1 400 X\r\n\r\n")
            await wire.until_closed()

        async with raw_server(script) as server:
            outcome = await post(client, f"https://{server.address}/")

        assert outcome[:2] == (None, "the TLS handshake failed")

    async def test_the_systems_authorities_are_trusted(self, tmp_path: Path) -> None:
        authority = Authority()
        served = self.context(tmp_path, authority, "127.0.0.1")
        program = (
            "import asyncio, sys; from tilld.webhooks.http.client import *\n"
            "async def main():\n"
            "    client = HttpClient(Targets.of(['127.0.0.1']))\n"
            "    outcome = await client.post(sys.argv[1], {}, b'{}')\n"
            "    await client.close()\n"
            "    sys.exit(outcome.error or None)\n"
            "asyncio.run(main())"
        )
        environment = os.environ | {"SSL_CERT_FILE": str(authority.write(tmp_path / "ca.pem"))}
        async with raw_server(always(http(200)), tls=served) as server:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program, f"https://{server.address}/"), env=environment
            )
            assert await process.wait() == 0


def test_a_till_without_webhooks_does_not_import_the_client_library() -> None:
    program = "import sys, tilld.app, tilld.webhooks.http.client; print({'aiohttp', 'yarl'} & {*sys.modules})"

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert printed.stdout == "set()\n"


class TestLookups:
    """Lookups of host names by the system."""

    async def test_silent_name_servers_delay_no_other_lookup(self) -> None:
        end = threading.Event()

        def look_up(host: str, *args: object, **flags: object) -> list[object]:
            if host == "silent.example":
                end.wait(20)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]

        resolver = Resolver(look_up)
        silent = [asyncio.create_task(resolver.resolve("silent.example")) for _ in range(MOST_LOOKUPS - 1)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            found = await resolver.resolve("shop.example", 443)
        assert [each["host"] for each in found] == ["192.0.2.1"]

        # A lookup that nobody waits for still has its thread.
        for task in silent:
            task.cancel()
        await asyncio.gather(*silent, return_exceptions=True)
        pending = asyncio.create_task(resolver.resolve("silent.example"))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="too many lookups are pending"):
            await resolver.resolve("shop.example", 443)

        end.set()
        assert await pending
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    assert await resolver.resolve("shop.example", 443)
                    break

    async def test_the_client_uses_no_threads_of_the_loop(
        self, client: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(asyncio.BaseEventLoop, "getaddrinfo")
        async with receiver() as shop:
            assert "localhost" in shop.url
            assert (await post(client, shop.url)).succeeded

    async def test_a_process_without_threads_to_spare(
        self, client: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert (await post(client, "http://127.0.0.1:1/")).error == "connection refused"

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)

        assert (await post(client, "http://localhost:1/")).error == "the host name cannot be resolved"

    async def test_a_host_without_addresses(self) -> None:
        for host in ("shop.invalid", "a" * 64 + ".example", "shop..example"):
            with pytest.raises(OSError, match=r"not a host name|\[Errno "):
                await Resolver().resolve(host, 443)

    async def test_a_host_with_addresses(self) -> None:
        found = await Resolver().resolve("localhost", 443)

        assert {"127.0.0.1", "::1"} >= {each["host"] for each in found} > set()
