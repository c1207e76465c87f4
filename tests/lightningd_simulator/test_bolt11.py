"""bolt11 strings: decoded as BOLT 11 says, and encoded as a real node does."""

import json
import re
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator import Simulator
from lightningd_simulator.bolts import bolt11
from lightningd_simulator.bolts.bolt11 import Bolt11Invoice
from tests.support.rpc import Rpc

PRIVATE_KEY = "11" * 32
PREIMAGE = "22" * 32
SIGNATURE_AND_CHECKSUM = 104 + 6

# The examples of BOLT 11, all signed by one key.
NODE_ID = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
SECRET = "11" * 32
HASH = "0001020304050607080900010203040506070809000102030405060708090102"
LIST = (
    "One piece of chocolate cake, one icecream cone, one pickle, one slice of swiss cheese, one slice of "
    "salami, one lollypop, one piece of cherry pie, one sausage, one cupcake, and one slice of watermelon"
)
EXAMPLES = {
    "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql":
        {"amount_msat": None, "description": "Please consider supporting this project", "expiry": 3600},
    "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh":
        {"amount_msat": 250_000_000, "description": "1 cup coffee", "expiry": 60},
    "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqsfp4pptdvg0d2nj99568qn6ssdy4cygnwuxgw2ukmnwgwz7jpqjz2kszs9qrsgqy606dznq28exnydt2r4c29y56xjtn3sk4mhgjtl4pg2y4ar3249rq4ajlmj9jy8zvlzw7cr8mggqzm842xfr0v72rswzq9xvr4hknfsqwmn6xd":
        {"amount_msat": 2_000_000_000, "description_hash": sha256(LIST.encode()).hexdigest()},
    "lnbc9678785340p1pwmna7lpp5gc3xfm08u9qy06djf8dfflhugl6p7lgza6dsjxq454gxhj9t7a0sd8dgfkx7cmtwd68yetpd5s9xar0wfjn5gpc8qhrsdfq24f5ggrxdaezqsnvda3kkum5wfjkzmfqf3jkgem9wgsyuctwdus9xgrcyqcjcgpzgfskx6eqf9hzqnteypzxz7fzypfhg6trddjhygrcyqezcgpzfysywmm5ypxxjemgw3hxjmn8yptk7untd9hxwg3q2d6xjcmtv4ezq7pqxgsxzmnyyqcjqmt0wfjjq6t5v4khxsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygsxqyjw5qcqp2rzjq0gxwkzc8w6323m55m4jyxcjwmy7stt9hwkwe2qxmy8zpsgg7jcuwz87fcqqeuqqqyqqqqlgqqqqn3qq9q9qrsgqrvgkpnmps664wgkp43l22qsgdw4ve24aca4nymnxddlnp8vh9v2sdxlu5ywdxefsfvm0fq3sesf08uf6q9a2ke0hc9j6z6wlxg5z5kqpu2v9wz":
        {
            "amount_msat": 967_878_534, "expiry": 604_800, "created_at": 1_572_468_703,
            "min_final_cltv_expiry": 10,
            "payment_hash": "462264ede7e14047e9b249da94fefc47f41f7d02ee9b091815a5506bc8abf75f",
        },
    "lnbc10m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdp9wpshjmt9de6zqmt9w3skgct5vysxjmnnd9jx2mq8q8a04uqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q2gqqqqqqsgq7hf8he7ecf7n4ffphs6awl9t6676rrclv9ckg3d3ncn7fct63p6s365duk5wrk202cfy3aj5xnnp5gs3vrdvruverwwq7yzhkf5a3xqpd05wjc":
        {"amount_msat": 1_000_000_000, "description": "payment metadata inside"},
}  # fmt: skip
BAD_EXAMPLES = {
    "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrnt":
        "Bad bech32 string",
    "pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrny":
        "Bad bech32 string",
    "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqwgt7mcn5yqw3yx0w94pswkpq6j9uh6xfqqqtsk4tnarugeektd4hg5975x9am52rz4qskukxdmjemg92vvqz8nvmsye63r5ykel43pgz7zq0g2":
        "signature recovery failed",
    "lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6na6hlh":
        "can't read signature: truncated",
    "lnbc2500x1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqrrzc4cvfue4zp3hggxp47ag7xnrlr8vgcmkjxk3j5jqethnumgkpqp23z9jclu3v0a7e0aruz366e9wqdykw6dxhdzcjjhldxq0w6wgqcnu43j":
        "Invalid amount postfix 'x'",
    "lnbc2500000001p1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgq0lzc236j96a95uv0m3umg28gclm5lqxtqqwk32uuk4k6673k6n5kfvx3d2h8s295fad45fdhmusm8sjudfhlf6dcsxmfvkeywmjdkxcp99202x":
        "Invalid sub-millisatoshi amount '2500000001p'",
    "lnbc20m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs9qrsgq7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9rxrydzd06dfeawfk6swupvz4erwnyutnjq7x39ymw6j38gp49qdkj":
        "Missing required payment secret (s field)",
}  # fmt: skip


def signed(
    *, amount_msat: int | None = None, description: str = "d", hash_only: bool = False, expiry: int = 60
) -> Bolt11Invoice:
    return bolt11.read(
        bolt11.sign(
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


@pytest.mark.parametrize(("string", "said"), EXAMPLES.items())
def test_the_examples_of_the_specification(string: str, said: dict[str, Any]) -> None:
    read = asdict(bolt11.read(string))

    defaults = {"currency": "bc", "payee": NODE_ID, "payment_secret": SECRET, "payment_hash": HASH}
    assert {name: read[name] for name in defaults | said} == defaults | said


@pytest.mark.parametrize(("string", "problem"), BAD_EXAMPLES.items())
def test_the_invalid_examples_of_the_specification(string: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        bolt11.read(string)


async def test_every_field_can_be_read(node: Simulator, rpc: Rpc) -> None:
    """The payee is recovered from the signature, and the fields are those of the reply."""
    made = await rpc.result("invoice", amount_msat=12345, label="x", description="Kaffee ☕", expiry=90)

    invoice = bolt11.read(made["bolt11"])

    assert invoice.payee == node.node_id
    assert invoice.currency == "bcrt"
    assert invoice.amount_msat == 12345
    assert invoice.description == "Kaffee ☕"
    assert invoice.expiry == 90
    assert invoice.created_at + invoice.expiry == made["expires_at"]
    assert invoice.payment_hash == made["payment_hash"]
    assert invoice.payment_secret == made["payment_secret"]
    assert invoice.min_final_cltv_expiry == 10
    assert invoice.features == "02024100"


def listed(node: Any) -> Any:
    """Yield each paid invoice of a recording whose bolt11 is complete."""
    if isinstance(node, dict) and {"bolt11", "payment_preimage", "description"} <= node.keys():
        yield from [node] if node["bolt11"].isalnum() else []
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from listed(value)


def test_strings_equal_those_of_a_real_node() -> None:
    """Equal in every character except the signature, which needs the node's key."""
    captures = (Path(__file__).parent.parent / "captures").glob("*.json")
    recorded = [invoice for file in captures for invoice in listed(json.loads(file.read_text()))]

    assert recorded
    for invoice in recorded:
        read = bolt11.read(invoice["bolt11"])
        ours = bolt11.sign(
            PRIVATE_KEY,
            created_at=read.created_at,
            payment_preimage=invoice["payment_preimage"],
            amount_msat=invoice.get("amount_msat"),
            description=invoice["description"],
            hash_only=read.description_hash is not None,
            expiry=read.expiry,
            cltv=read.min_final_cltv_expiry,
        )
        assert ours[:-SIGNATURE_AND_CHECKSUM] == invoice["bolt11"][:-SIGNATURE_AND_CHECKSUM]


# From 2**64/10 msat, amounts overflow in a real node too.
@given(st.integers(1, 2**64 // 10) | st.integers(1, 10**9).map(lambda n: n * 1000))
def test_amounts_are_written_exactly(amount_msat: int) -> None:
    assert signed(amount_msat=amount_msat).amount_msat == amount_msat


@pytest.mark.parametrize("bitcoins", [1, 10, 999, 1000, 1001, 20_999_000, 21_000_000])
def test_whole_bitcoins(bitcoins: int) -> None:
    """Thousands of bitcoins keep their zeros."""
    assert signed(amount_msat=bitcoins * 10**11).amount_msat == bitcoins * 10**11


@given(st.text(max_size=150).filter(lambda text: text.isprintable()))
def test_descriptions_are_written_exactly(description: str) -> None:
    """Includes the empty description."""
    assert signed(description=description).description == description


def test_a_long_description_is_only_hashed() -> None:
    """With deschashonly the length has no limit."""
    description = "ü" * 100_000

    invoice = signed(description=description, hash_only=True)

    assert invoice.description is None
    assert invoice.description_hash == sha256(description.encode()).hexdigest()


@pytest.mark.parametrize("expiry", [1, 31, 32, 3600, 604_800, 2**60 - 1])
def test_expiries(expiry: int) -> None:
    """Includes 3600 s, the default, which is omitted from the string."""
    assert signed(expiry=expiry).expiry == expiry


async def test_decode_reads_what_invoice_made(node: Simulator, rpc: Rpc) -> None:
    """decode returns the node's own id and the hash of the description."""
    made = await rpc.result("invoice", amount_msat="any", label="x", description="long", deschashonly=True)

    told = await rpc.result("decode", string=f"LIGHTNING:{made['bolt11'].upper()}")

    assert told["payee"] == node.node_id
    assert told["description_hash"] == sha256(b"long").hexdigest()
    assert told["payment_secret"] == made["payment_secret"]
    assert "amount_msat" not in told
    assert "description" not in told


@pytest.mark.parametrize(
    ("string", "problem"),
    [("hello", "Unparsable string"), ("lnbcrt1qqqqqq", "Bad bech32 string")],
)
async def test_malformed_strings_are_not_decoded(string: str, problem: str, rpc: Rpc) -> None:
    """The error has lightningd's words."""
    error = (await rpc.call("decode", {"string": string}))["error"]

    assert error["message"] == f"string: {problem}: invalid token (see logs for details)"
