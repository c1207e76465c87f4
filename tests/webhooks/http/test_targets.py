"""Where webhooks may go: each forbidden address, however it is named."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http_client import FixedResolver, http_client
from tests.support.loopback import HOSTS
from tests.support.raw_server import always, answering, http, raw_server
from tilld.config import USUAL
from tilld.errors import InvalidRequest, TooLarge
from tilld.webhooks.http.targets import (
    BAD_HOST,
    BAD_URL,
    EXTRAS,
    FORBIDDEN,
    NOT_ALLOWED,
    Targets,
    checked_url,
    is_public,
)

NOTHING_OPENED = Targets()
QUICK = USUAL._replace(webhook_seconds=2)

# The first and the last address of each block, or one inside.
FORBIDDEN_ADDRESSES = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.0.0.1 127.255.255.255
168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.8
192.0.0.9 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0
198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.0
255.255.255.254 255.255.255.255
:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1 1fff:ffff::1 2001::1 2001:0:7f00:1:: 2001:1::1 2001:2::1
2001:10::1 2001:20::1 2001:1ff:ffff::1 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:7f00:1::
2002:808:808::1 2002:ffff:ffff::1 3fff:: 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254
fdff:ffff::1 fe80:: fe80::1 febf:ffff::1 fec0::1 feff:ffff::1 ff00::1 ff02::1 ff0e::1
ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""

# The neighbors of these blocks among them.
PUBLIC_ADDRESSES = """
1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0
192.0.1.255 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
2000:: 2001:200::1 2001:db7:ffff::1 2001:db9::1 2001:4860:4860::8888 2001:ffff::1 2003:: 2606:4700::1111
3ffe:ffff::1 3fff:1000::1 3fff:ffff::1
"""

# Hosts that an HTTP client or a resolver may read as an address, some with full-width or Arabic digits.
SPELLINGS = """
0x7f000001 0x7f.0.0.1 0x7f.1 2130706433 017700000001 0177.0.0.1 0177.1 127.1 127.0.1 127.0.0.01 127.0.0.1.
00000127.0.0.1 127.0.0.0x1 0 0x 127.0.0.256 1.2.3.4.5 shop.example.1 shop.example.0x7f %31%32%37.0.0.1
127%2e0.0.1 \uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021 \u2460\u2461\u2466.0.0.1 \u0663.0.0.1
[::1%25lo] [fe80::1%eth0] shop.example. localhost. shop..example
"""


def url_of(address: str, scheme: str = "https") -> str:
    return f"{scheme}://[{address}]/hook" if ":" in address else f"{scheme}://{address}/hook"


def message(text: str, targets: Targets = NOTHING_OPENED) -> str:
    with pytest.raises(InvalidRequest) as refused:
        checked_url(text, targets)
    return refused.value.message.removeprefix("url ")


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES.split())
def test_a_special_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert message(url_of(address)) == FORBIDDEN


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES.split())
def test_a_public_address_is_a_target(address: str) -> None:
    assert is_public(ip_address(address))
    assert checked_url(url_of(address), NOTHING_OPENED).raw_host == address
    assert message(url_of(address, "http")) == FORBIDDEN


@given(st.ip_addresses())
def test_python_agrees_that_an_address_is_public(address: IPv4Address | IPv6Address) -> None:
    assert address.is_global or not is_public(address)


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES.split())
async def test_a_name_of_a_special_address_is_not_connected(address: str) -> None:
    async with http_client([], QUICK, resolver=FixedResolver([address])) as client:
        outcome = await client.post("https://shop.example/hook", {}, b"{}")

    assert (outcome.status, outcome.error) == (None, NOT_ALLOWED)


@pytest.mark.parametrize("host", SPELLINGS.split())
def test_an_address_in_another_spelling_is_refused(host: str) -> None:
    everything = Targets.of(["0.0.0.0/0", "::/0"])

    assert message(f"https://{host}/hook", everything) in (BAD_HOST, BAD_URL)


@pytest.mark.parametrize("address", ["127.1", "0x7f000001", "2130706433", "127.0.0.01", "localhost", ""])
def test_an_answer_of_dns_in_another_spelling_is_not_connected(address: str) -> None:
    """The socket would look up such an answer again."""
    everything = Targets.of(["0.0.0.0/0", "::/0", "shop.example"])

    assert not everything.allows("https", "shop.example", address)


@given(st.text("0123456789abcfx.", min_size=1, max_size=15))
def test_no_accepted_name_is_an_address_for_the_system(host: str) -> None:
    try:
        url = checked_url(f"https://{host}/hook", NOTHING_OPENED)
    except InvalidRequest:
        return
    try:
        read = socket.inet_ntoa(socket.inet_aton(url.raw_host or ""))
    except OSError:
        return
    assert read == url.raw_host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "shop.localhost", "ⓛocalhost"])
def test_localhost_is_forbidden(host: str) -> None:
    assert message(f"https://{host}/hook") == FORBIDDEN


@pytest.mark.parametrize("entry", ["localhost", "127.0.0.0/8", "::1"])
def test_the_operator_can_open_localhost(entry: str) -> None:
    assert checked_url("http://localhost:3000/hook", Targets.of([entry])).port == 3000


@pytest.mark.parametrize(
    "text",
    [
        *("", "shop.example", "/hook", "//shop.example/hook", "https:/hook", "https:///hook", "https://"),
        *("ftp://shop.example", "file:///etc/passwd", "javascript:alert(1)", "unix:///run/till.sock"),
        *("https://shop.example:0/", "https://shop.example:65536/", "https://shop.example:port/"),
        *("https://[::1/", "https://::1/", "https://[::1]shop.example/", "https://shop.example\\@10.0.0.1/"),
        *(
            "https://shop.example/a b",
            " https://shop.example",
            "https://shop.example\n",
            "https://shop\t.example",
        ),
        *("https://shop.example/\x00", "https://shop.example/\u202e", "https://shop.example/\u2028"),
        *("https://shop\u200b.example/", "https://127.0.0.1\u200b/"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    assert message(text) in (
        BAD_URL,
        "must have 1 to 2000 bytes",
        "must not have control characters",
    )


@pytest.mark.parametrize("user", ["user", "user:password", ":password", ":", "", "10.0.0.1%20"])
def test_a_user_is_refused(user: str) -> None:
    assert message(f"https://{user}@shop.example/hook") == EXTRAS


def test_a_fragment_is_refused() -> None:
    assert message("https://shop.example/hook#") == EXTRAS
    assert message("https://shop.example/hook#part") == EXTRAS


@pytest.mark.parametrize("host", ["a,b", "a$b", "a;b", "(a)", "a" * 64 + ".example", "a." * 130 + "example"])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    assert message(f"https://{host}/hook") == BAD_HOST


def test_a_long_url_is_refused() -> None:
    start = "https://shop.example/"
    checked_url(start + "a" * (2000 - len(start)), NOTHING_OPENED)

    with pytest.raises(TooLarge, match="url must have at most 2000 bytes, but has 2001"):
        checked_url(start + "a" * (2001 - len(start)), NOTHING_OPENED)
    with pytest.raises(TooLarge, match="url must have at most 2000 bytes, but has 2421"):
        checked_url(start + "ä" * 400, NOTHING_OPENED)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example:8443/Hook?a=b&c=@", "https://shop.example:8443/Hook?a=b&c=@"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://my_shop.example/", "https://my_shop.example/"),
        ("https://8.8.8.8:8443/", "https://8.8.8.8:8443/"),
        ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]/"),
        ("https://1.example/", "https://1.example/"),
    ],
)
def test_a_public_host_is_a_target(text: str, read: str) -> None:
    assert str(checked_url(text, NOTHING_OPENED)) == read


@given(st.text(), st.text())
def test_the_stored_url_reads_the_same(host: str, path: str) -> None:
    try:
        url = checked_url(f"https://{host}/{path}", NOTHING_OPENED)
    except (InvalidRequest, TooLarge):
        return

    assert checked_url(str(url), NOTHING_OPENED) == url


def test_a_host_is_opened_for_http_and_any_address() -> None:
    targets = Targets.of(["Shop.Lan"])

    assert checked_url("http://shop.lan/hook", targets)
    assert targets.allows("http", "shop.lan", "10.0.0.5")
    assert message("http://other.lan/hook", targets) == FORBIDDEN
    assert message("https://10.0.0.5/hook", targets) == FORBIDDEN
    assert not targets.allows("https", "other.lan", "10.0.0.5")


@pytest.mark.parametrize("entry", ["10.0.0.0/24", "10.0.0.5", "fd00::/64", "fd00::5"])
def test_a_network_is_opened_for_http_and_any_name(entry: str) -> None:
    targets = Targets.of([entry])
    inside, outside = ("fd00::5", "fd00:0:0:1::5") if ":" in entry else ("10.0.0.5", "10.0.1.5")

    for scheme in ("http", "https"):
        assert checked_url(url_of(inside, scheme), targets)
        assert checked_url(f"{scheme}://shop.lan/hook", targets)
        assert targets.allows(scheme, "shop.lan", inside)
        assert message(url_of(outside, scheme), targets) == FORBIDDEN
        assert not targets.allows(scheme, "shop.lan", outside)
    assert targets.allows("https", "shop.example", "8.8.8.8")
    assert not targets.allows("http", "shop.example", "8.8.8.8")


def test_an_opened_network_opens_no_address_that_stands_for_it() -> None:
    targets = Targets.of(["10.0.0.0/8"])

    for address in ("::ffff:10.0.0.5", "::10.0.0.5", "64:ff9b::10.0.0.5", "2002:a00:5::"):
        assert message(url_of(address), targets) == FORBIDDEN
        assert not targets.allows("https", "shop.example", address)


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(always(http(200)), HOSTS[1]) as inside:
        for status in (301, 302, 303, 307, 308):
            script = answering(http(status, f"Location: {inside.url}"))
            async with raw_server(script) as shop, http_client(HOSTS, QUICK) as client:
                outcome = await client.post(shop.url, {}, b"{}")

            assert outcome[:2] == (status, "redirected; webhooks do not follow redirects")
        assert inside.connections == 0


async def test_a_host_that_changes_its_address_reaches_only_the_allowed_one() -> None:
    """Each attempt looks up the host once, and connects to what was checked."""
    async with raw_server(always(http(200)), HOSTS[1]) as inside:
        dns = FixedResolver(*([HOSTS[0]], [HOSTS[1]]) * 3)
        async with (
            raw_server(answering(http(200, "Connection: close")), port=inside.port) as shop,
            http_client([HOSTS[0]], QUICK, resolver=dns) as client,
        ):
            errors = []
            # Other names, because aiohttp keeps an answer of DNS for 10 s.
            for attempt in range(6):
                outcome = await client.post(f"http://shop{attempt}.example:{shop.port}/hook", {}, b"{}")
                errors.append(outcome.error)

    assert errors == ["", NOT_ALLOWED] * 3
    assert dns.lookups == 6
    assert (shop.connections, inside.connections) == (3, 0)


async def test_a_host_with_a_forbidden_address_too_reaches_only_the_allowed_one() -> None:
    async with raw_server(always(http(200)), HOSTS[1]) as inside:
        async with raw_server(always(http(200)), port=inside.port) as shop:
            for addresses in (HOSTS, HOSTS[::-1]):
                async with http_client([HOSTS[0]], QUICK, resolver=FixedResolver(addresses)) as client:
                    outcome = await client.post(f"http://shop.example:{shop.port}/hook", {}, b"{}")
                assert outcome.succeeded
        # Nothing listens at the allowed address now.
        async with http_client([HOSTS[0]], QUICK, resolver=FixedResolver(HOSTS)) as client:
            outcome = await client.post(f"http://shop.example:{inside.port}/hook", {}, b"{}")
        assert outcome.status is None

    assert inside.connections == 0


@pytest.mark.parametrize(
    "url", ["http://shop.example/hook", "https://localhost/hook", "https://10.0.0.5/hook"]
)
async def test_each_attempt_checks_the_url_again(url: str) -> None:
    """An operator who opens less than before ends the deliveries to older webhooks, without a lookup."""
    dns = FixedResolver([HOSTS[0]])
    async with http_client([], QUICK, resolver=dns) as client:
        assert (await client.post(url, {}, b"{}")).error == NOT_ALLOWED

    assert dns.lookups == 0
