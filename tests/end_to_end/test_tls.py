"""TLS as clients use it, on both ports: rejected handshakes, and reloads of certificates."""

import asyncio
import shutil
import signal
import ssl
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest

from tests.support.authority import Authority, Pair, shown, until_shown
from tests.support.nodes import simulated_node
from tests.support.processes import FREE, children, fails, is_running, output, tilld
from tests.support.shop import config
from tests.support.waiting import eventually
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.app import Till
from tilld.config import Address
from tilld.envoy.process import Envoy
from tilld.envoy.standalone import Standalone
from tilld.lightningd import play_money

PORTS = ("rest", "grpc")
BODY = {"msat": 5000, "metadata": {"type": "shop"}}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
async def till(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Till]:
    """A Till with TLS."""
    directory = tmp_path_factory.mktemp("tls")
    async with Till(config(directory / "till", **authority.issue(directory).flags())) as till:
        yield till


@pytest.fixture
async def own_pair(authority: Authority, tmp_path: Path) -> Pair:
    """A pair whose files a test may change."""
    return authority.issue(tmp_path / "live")


@pytest.fixture
async def own_till(own_pair: Pair, tmp_path: Path) -> AsyncIterator[Till]:
    """A Till that uses this pair."""
    async with Till(config(tmp_path / "till", **own_pair.flags())) as till:
        yield till


def browse(address: Address, trust: ssl.SSLContext, **settings: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"https://{address}", verify=trust, timeout=10, **settings)


@asynccontextmanager
async def typed(address: Address, authority: Authority, pair: Pair | None = None) -> AsyncIterator[Any]:
    """Yield a stub of the typed API at an address."""
    credentials = grpc.ssl_channel_credentials(authority.pem, **(pair.credentials() if pair else {}))
    async with grpc.aio.secure_channel(str(address), credentials) as channel:
        yield InvoiceServiceStub(channel)


async def info(address: Address, authority: Authority, pair: Pair | None = None) -> grpc.StatusCode:
    """Return the status of a gRPC call."""
    async with typed(address, authority, pair) as invoices:
        try:
            await invoices.GetInfo(pb.GetInfoRequest(), timeout=10)
        except grpc.aio.AioRpcError as refused:
            return refused.code()
        return grpc.StatusCode.OK


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
async def test_rest_is_served_over_both_versions_of_http(
    till: Till, authority: Authority, http2: bool, version: str
) -> None:
    assert till.running.rest
    async with browse(till.running.rest, authority.trusting(), http2=http2) as client:
        created = await client.post("/lightning/invoice/create", json=BODY)
        read = await client.get(f"/lightning/invoice/{created.json()['invoiceid']}")

    assert (created.http_version, created.status_code) == (version, 200)
    assert read.json() | {"payability": {"status": "ok", "detail": ""}} == created.json()
    assert read.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("port", PORTS)
async def test_grpc_is_served_straight_and_through_envoy(till: Till, authority: Authority, port: str) -> None:
    assert await info(getattr(till.running, port), authority) is grpc.StatusCode.OK


@pytest.mark.parametrize("port", PORTS)
async def test_plaintext_is_refused(till: Till, port: str) -> None:
    address = getattr(till.running, port)

    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/lightning/info")
    async with grpc.aio.insecure_channel(str(address)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await InvoiceServiceStub(channel).GetInfo(pb.GetInfoRequest())
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("port", PORTS)
async def test_tls_is_at_least_of_version_1_2(till: Till, authority: Authority, port: str) -> None:
    async def connect(version: ssl.TLSVersion) -> None:
        context = authority.trusting()
        context.set_alpn_protocols(["h2"])
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        _, writer = await asyncio.open_connection(*getattr(till.running, port), ssl=context)
        writer.close()

    await connect(ssl.TLSVersion.TLSv1_2)
    await connect(ssl.TLSVersion.TLSv1_3)
    # gRPC closes the connection without an alert. Any other error would come from the client itself.
    with pytest.raises((ssl.SSLError, ConnectionResetError), match="ALERT_PROTOCOL_VERSION|^$"):
        await connect(ssl.TLSVersion.TLSv1_1)


async def test_the_copy_of_the_key_is_for_its_owner_and_gone_at_the_end(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue(tmp_path)

    async with Till(config(tmp_path / "till", **pair.flags())):
        [copy] = (tmp_path / "till" / "envoy").glob("tls-*")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    assert not copy.exists()


async def test_a_cancelled_start_leaves_no_envoy_and_no_copy_of_the_key(
    authority: Authority, tmp_path: Path
) -> None:
    """A signal arrives while Envoy is still starting."""
    started = asyncio.get_running_loop().create_future()

    class Slow(Envoy):
        async def until_ready(self) -> None:
            started.set_result(self.process)
            await asyncio.Event().wait()

    pair = authority.issue(tmp_path)
    starting = asyncio.create_task(Till(config(tmp_path / "till", **pair.flags()), envoy=Slow).__aenter__())
    process = await started
    assert list((tmp_path / "till" / "envoy").glob("tls-*"))

    starting.cancel()
    await asyncio.wait([starting])

    assert process.returncode is not None
    assert not list((tmp_path / "till" / "envoy").glob("tls-*"))


# Reloads without a restart


def in_place(new: Pair, live: Pair) -> None:
    """Overwrite the files one after the other, as most programs do."""
    live.tls_cert.write_bytes(new.tls_cert.read_bytes())
    live.tls_key.write_bytes(new.tls_key.read_bytes())


def moved_over(new: Pair, live: Pair) -> None:
    """Rename the new files over the old ones, as careful programs do."""
    new.tls_key.replace(live.tls_key)
    new.tls_cert.replace(live.tls_cert)


def by_a_link(new: Pair, live: Pair) -> None:
    """Replace the directory by a link, as certbot and Kubernetes do."""
    live.tls_cert.parent.rename(live.tls_cert.parent.with_name("old"))
    live.tls_cert.parent.symlink_to(new.tls_cert.parent)


@pytest.mark.parametrize("replace", [in_place, moved_over, by_a_link])
async def test_a_new_pair_is_shown_on_both_ports(
    own_till: Till,
    own_pair: Pair,
    authority: Authority,
    tmp_path: Path,
    replace: Callable[[Pair, Pair], None],
) -> None:
    """Open watches continue."""
    rest, typed_port = own_till.running.rest, own_till.running.grpc
    assert rest
    new = authority.issue(tmp_path / "new")
    renewed = new.certificate
    async with browse(rest, authority.trusting()) as client, typed(typed_port, authority) as invoices:
        created = (await client.post("/lightning/invoice/create", json=BODY)).json()
        watched = invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]))
        await watched.read()
        async with client.stream("GET", f"/lightning/invoice/{created['invoiceid']}/watch") as events:
            lines = events.aiter_lines()
            async for line in lines:
                if '"status":"unpaid"' in line:
                    break
            assert await shown(rest) == await shown(typed_port) == own_pair.certificate != renewed

            replace(new, own_pair)
            await until_shown(rest, own_pair)
            await until_shown(typed_port, own_pair)
            assert own_pair.certificate == renewed

            await play_money.pay(own_till.running.rpc_file, created["payreq"], None)
            assert [line async for line in lines if '"status":"paid"' in line]
        assert (await watched.read()).invoice.HasField("payment")


async def test_a_bad_new_pair_leaves_the_old_one(
    own_till: Till, own_pair: Pair, authority: Authority, tmp_path: Path, logged: Callable[[], str]
) -> None:
    assert own_till.running.rest
    old = own_pair.certificate
    other = authority.issue(tmp_path / "other")

    shutil.copy(other.tls_cert, own_pair.tls_cert)
    await eventually(lambda: "certificates not reloaded" in logged())

    assert await shown(own_till.running.rest) == await shown(own_till.running.grpc) == old
    assert await info(own_till.running.rest, authority) is grpc.StatusCode.OK


# Client certificates


@pytest.fixture(scope="module")
def clients() -> Authority:
    """The authority of the clients."""
    return Authority()


@pytest.fixture(scope="module")
async def closed_till(
    authority: Authority, clients: Authority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Till]:
    """A Till that requires client certificates."""
    directory = tmp_path_factory.mktemp("mtls")
    ca = clients.write(directory / "clients.pem")
    settings = authority.issue(directory).flags() | {"tls_client_ca": ca}
    async with Till(config(directory / "till", **settings)) as till:
        yield till


async def rest_info(address: Address, trust: ssl.SSLContext) -> int:
    async with browse(address, trust) as client:
        return (await client.get("/lightning/info")).status_code


async def test_a_client_with_a_certificate_is_accepted(
    closed_till: Till, authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    assert closed_till.running.rest
    pair = clients.issue(tmp_path, "client.test")

    assert await rest_info(closed_till.running.rest, authority.trusting(pair)) == 200
    for port in PORTS:
        assert await info(getattr(closed_till.running, port), authority, pair) is grpc.StatusCode.OK


@pytest.mark.parametrize("is_foreign", [False, True])
async def test_a_client_without_a_valid_certificate_is_refused(
    closed_till: Till, authority: Authority, tmp_path: Path, is_foreign: bool
) -> None:
    assert closed_till.running.rest
    pair = authority.issue(tmp_path, "client.test") if is_foreign else None

    # The error type depends on timing: with TLS 1.3 the refusal arrives after the client's handshake.
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await rest_info(closed_till.running.rest, authority.trusting(pair))
    for port in PORTS:
        assert await info(getattr(closed_till.running, port), authority, pair) is grpc.StatusCode.UNAVAILABLE


async def test_a_new_client_authority_is_loaded_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    ca = Authority().write(tmp_path / "clients.pem")
    pair = authority.issue(tmp_path)
    settings = pair.flags() | {"tls_client_ca": ca}
    async with Till(config(tmp_path / "till", **settings)) as till:
        for port in PORTS:
            assert await info(getattr(till.running, port), authority, pair) is not grpc.StatusCode.OK

        authority.write(ca)

        async with asyncio.timeout(10):
            for port in PORTS:
                while await info(getattr(till.running, port), authority, pair) is not grpc.StatusCode.OK:
                    await asyncio.sleep(0.1)


# tilld envoy in front of a remote tilld


@asynccontextmanager
async def front(directory: Path, till: Till, **settings: Any) -> AsyncIterator[Standalone]:
    async with Standalone(config(directory, upstream=(till.running.grpc,), **settings)) as front:
        yield front


async def test_envoy_alone_speaks_tls_to_tilld_and_shows_its_certificate(
    closed_till: Till, authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    pair = clients.issue(tmp_path / "front")
    settings = pair.flags() | {"upstream_ca": authority.write(tmp_path / "ca.pem")}
    async with front(tmp_path / "data", closed_till, **settings) as envoy:
        async with browse(envoy.rest, clients.trusting()) as client:
            async with asyncio.timeout(10):
                while (await client.get("/lightning/info")).status_code != 200:
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize(("ours", "names"), [(False, ()), (True, ("elsewhere.test", "127.0.0.2"))])
async def test_envoy_alone_sends_nothing_to_a_tilld_that_it_cannot_verify(
    authority: Authority, tmp_path: Path, ours: bool, names: tuple[str, ...]
) -> None:
    """The certificate is from an unknown authority, or for another host."""
    trusted = authority if ours else Authority()
    settings = {"upstream_ca": trusted.write(tmp_path / "ca.pem")}
    pair = authority.issue(tmp_path, *names)
    async with Till(config(tmp_path / "till", no_rest=True, **pair.flags())) as till:
        async with front(tmp_path / "data", till, **settings) as envoy:
            async with httpx.AsyncClient(base_url=f"http://{envoy.rest}") as client:
                # Envoy has now checked the health once, so the result is final.
                await refused_upstream(tmp_path / "data")
                assert (await client.get("/lightning/info")).status_code == 503


async def refused_upstream(directory: Path) -> None:
    """Wait until a handshake has failed."""
    transport = httpx.AsyncHTTPTransport(uds=str(directory / "envoy" / "envoy-admin.sock"))
    async with httpx.AsyncClient(base_url="http://envoy", transport=transport) as admin:
        async with asyncio.timeout(10):
            while not (await admin.get("/stats?usedonly&filter=cluster.tilld.ssl.fail_verify")).text:
                await asyncio.sleep(0.05)


# tilld run and the socket between it and Envoy


async def test_the_data_directory_may_have_a_long_path(tmp_path: Path) -> None:
    """The path of a unix socket may have at most 107 bytes."""
    async with simulated_node(tmp_path) as node:
        settings = config(tmp_path / ("d" * 120), lightning_rpc=node.rpc_file)
        async with Till(settings) as till:
            async with httpx.AsyncClient(base_url=f"http://{till.running.rest}") as client:
                assert (await client.get("/lightning/info")).status_code == 200
            socket = tmp_path / ("d" * 120) / "envoy" / "tilld.sock"
            assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert not socket.exists()


async def test_a_second_till_in_a_data_directory_leaves_the_first_alone(tmp_path: Path) -> None:
    async with tilld("run", *FREE, cwd=tmp_path) as first:
        rest = await first.says(r"(http://127\.0\.0\.1:\d+)\n")

        async with simulated_node(tmp_path) as node:
            line = await fails("run", *FREE, f"--lightning-rpc={node.rpc_file}", cwd=tmp_path)

        assert "another Till runs in .till; give another directory with --data-dir" in line
        async with httpx.AsyncClient(base_url=rest) as client:
            assert (await client.get("/lightning/info")).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children with their parent")
async def test_the_socket_of_a_killed_till_does_not_block_the_next_one(tmp_path: Path) -> None:
    async with tilld("run", *FREE, cwd=tmp_path) as killed:
        await killed.says(r"(Till is running)")
        children_of_it = children(killed.process.pid)
        await killed.end(signal.SIGKILL)
    assert (tmp_path / ".till" / "envoy" / "tilld.sock").exists()
    await eventually(lambda: not any(map(is_running, children_of_it)))

    async with tilld("run", *FREE, cwd=tmp_path) as again:
        rest = await again.says(r"(http://127\.0\.0\.1:\d+)\n")
        async with httpx.AsyncClient(base_url=rest) as client:
            assert (await client.get("/lightning/info")).status_code == 200


# Output for the operator


async def test_the_banner_has_https_addresses(authority: Authority, tmp_path: Path) -> None:
    authority.issue(tmp_path)
    async with tilld("run", *FREE, "--tls-cert=cert.pem", cwd=tmp_path, TILLD_TLS_KEY="key.pem") as till:
        url = await till.says(r"(https://127\.0\.0\.1:\d+)\n")
        await till.says(r"curl (https)://")
        assert "http://" not in till.out
        async with httpx.AsyncClient(base_url=url, verify=authority.trusting()) as client:
            assert (await client.get("/lightning/info")).status_code == 200


@pytest.mark.parametrize("command", ["run", "envoy"])
async def test_an_unusable_certificate_is_reported_in_one_line(tmp_path: Path, command: str) -> None:
    line = await fails(command, "--rest=127.0.0.1:0", "--tls-cert=none", "--tls-key=none", cwd=tmp_path)

    assert "none cannot be read (No such file or directory); check --tls-cert" in line


async def test_keys_without_tls_cause_a_warning(
    authority: Authority, tmp_path: Path, logged: Callable[[], str]
) -> None:
    """The warning appears once, and never with TLS."""
    await output("key", "create", "--username", "shop", "--data-dir=.", cwd=tmp_path)
    public = {"grpc": Address("0.0.0.0", 0), "no_rest": True}
    for settings in (public | authority.issue(tmp_path).flags(), public):
        assert "keys travel in the clear" not in logged()
        async with Till(config(tmp_path, **settings)):
            pass
    assert logged().count("keys travel in the clear") == 1
