"""The invoices are real: another program's decoder reads them."""

from hashlib import sha256

import bolt11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator import Simulator
from lightningd_simulator.bolts import bolt11 as bolt11_invoices
from tests.lightningd_simulator.rpc import Rpc

PRIVATE_KEY = "11" * 32
PREIMAGE = "22" * 32
WHOLE_SUPPLY_MSAT = 21 * 10**17


def signed(
    *, amount_msat: int | None = None, description: str = "d", hash_only: bool = False, expiry: int = 60
) -> bolt11.Bolt11:
    return bolt11.decode(
        bolt11_invoices.sign(
            PRIVATE_KEY,
            created_at=1_795_217_785,
            payment_preimage=PREIMAGE,
            amount_msat=amount_msat,
            description=description,
            hash_only=hash_only,
            expiry=expiry,
            cltv=10,
        )
    )


async def test_every_field_can_be_read(node: Simulator, rpc: Rpc) -> None:
    """The payee is recovered from the signature, and the fields are those of the answer."""
    made = await rpc.result("invoice", amount_msat=12345, label="x", description="Kaffee ☕", expiry=90)

    invoice = bolt11.decode(made["bolt11"])

    assert invoice.payee == node.node_id
    assert invoice.currency == "bcrt"
    assert invoice.amount_msat == 12345
    assert invoice.description == "Kaffee ☕"
    assert invoice.expiry == 90
    assert invoice.date + invoice.expiry == made["expires_at"]
    assert invoice.payment_hash == made["payment_hash"]
    assert invoice.payment_secret == made["payment_secret"]
    assert invoice.min_final_cltv_expiry == 10
    assert invoice.features is not None
    assert invoice.features.readable == {
        "var_onion_optin": "required",
        "payment_secret": "required",
        "basic_mpp": "supported",
        "option_route_blinding": "supported",
    }


# 2**64/10 msat is where amounts begin to wrap, with the real node too.
@given(st.integers(1, 2**64 // 10) | st.integers(1, 10**9).map(lambda n: n * 1000))
def test_amounts_are_written_exactly(amount_msat: int) -> None:
    """Whatever the amount, the decoder reads the same."""
    assert signed(amount_msat=amount_msat).amount_msat == amount_msat


@pytest.mark.parametrize("bitcoins", [1, 10, 999, 1000, 1001, 20_999_000, 21_000_000])
def test_whole_bitcoins(bitcoins: int) -> None:
    """Thousands of bitcoins keep their zeros."""
    assert signed(amount_msat=bitcoins * 10**11).amount_msat == bitcoins * 10**11


@given(st.text(max_size=150).filter(lambda text: text.isprintable()))
def test_descriptions_are_written_exactly(description: str) -> None:
    """Any text, also an empty one."""
    assert signed(description=description).description == description


def test_a_long_description_is_only_hashed() -> None:
    """With deschashonly the length does not matter."""
    description = "ü" * 100_000

    invoice = signed(description=description, hash_only=True)

    assert invoice.description is None
    assert invoice.description_hash == sha256(description.encode()).hexdigest()


@pytest.mark.parametrize("expiry", [1, 31, 32, 3600, 604_800, 2**60 - 1])
def test_expiries(expiry: int) -> None:
    """Also the one that is a decoder's default and so not written."""
    assert signed(expiry=expiry).expiry == expiry


async def test_what_it_decodes_is_what_it_made(node: Simulator, rpc: Rpc) -> None:
    """decode tells the node's own id and the hash of a description."""
    made = await rpc.result("invoice", amount_msat="any", label="x", description="long", deschashonly=True)

    told = await rpc.result("decode", string=f"LIGHTNING:{made['bolt11'].upper()}")

    assert told["payee"] == node.node_id
    assert told["description_hash"] == sha256(b"long").hexdigest()
    assert told["payment_secret"] == made["payment_secret"]
    assert "amount_msat" not in told
    assert "description" not in told


@pytest.mark.parametrize(
    ("string", "problem"), [("hello", "Unparsable string"), ("lnbcrt1qqqqqq", "Bad bech32 string")]
)
async def test_what_can_not_be_decoded(string: str, problem: str, rpc: Rpc) -> None:
    """It is refused in lightningd's words."""
    error = (await rpc.call("decode", {"string": string}))["error"]

    assert error["message"] == f"string: {problem}: invalid token (see logs for details)"
