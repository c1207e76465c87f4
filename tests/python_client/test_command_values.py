"""Values that the command `till` reads and prints: amounts, and numbers in metadata."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

import till
from till.v1.invoice_service_pb2 import CreateInvoiceRequest
from till_cli import amount
from till_cli.main import app as till_app


async def run(address: str, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, till_app, ("--address", address, *arguments))


@pytest.mark.parametrize(
    ("text", "msat"),
    [
        ("5000", 5000),
        ("5000msat", 5000),
        ("5sat", 5000),
        ("5 SAT", 5000),
        ("0.001sat", 1),
        ("0.00001btc", 1_000_000),
        ("0.00000000001btc", 1),
        ("0.12345678901btc", 12_345_678_901),
        ("5.0", 5),
        ("1844674407370955161", 1_844_674_407_370_955_161),
        ("18446744.07370955161btc", 1_844_674_407_370_955_161),
    ],
)
def test_an_amount_is_exact(text: str, msat: int) -> None:
    assert amount.parse(text) == msat


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5",
        "5.5",
        "0",
        "0sat",
        "0.0001sat",
        "0.000000000001btc",
        "1844674407370955162",
        "21000000btc",
        "5e3",
        "1_000",
        "5,000",
        ".5sat",
        "5.",
        "5mbtc",
        "5 satoshi",
        "\u0665",
        "9" * 5000,
        "inf",
        "sat",
    ],
)
def test_a_malformed_amount_gives_an_error_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="0.00001btc"):
        amount.parse(text)


async def test_the_command_takes_an_amount_with_its_unit(address: str) -> None:
    made = await run(address, "invoice", "create", "0.00001btc", "--json")
    wrong = await run(address, "invoice", "create", "5.5", "--json")

    assert json.loads(made.stdout)["amount_msat"] == 1_000_000
    assert wrong.exit_code == 2
    assert "5sat" in wrong.stderr


@pytest.mark.parametrize(
    "metadata",
    [
        '{"type":"shop","x":1E400}',
        '{"type":"shop","x":0.10000000000000000000000001}',
        '{"type": "shop", "x": "\u2615 \U0001f600"}',
        '{\n"type":\t"shop"\r\n}',
    ],
)
async def test_metadata_is_printed_unchanged(address: str, metadata: str) -> None:
    async with till.AsyncClient(address) as client:
        request = CreateInvoiceRequest(amount_msat=5000, metadata=metadata)
        created = (await client.call(client.invoices.CreateInvoice, request)).invoice

    [line] = (await run(address, "invoice", "get", created.invoice_id, "--json")).stdout.splitlines()
    shown = (await run(address, "invoice", "get", created.invoice_id)).stdout

    for printed in (line, shown):
        assert "Infinity" not in printed
    kept = json.loads(line, parse_float=str)["metadata"]
    assert kept == json.loads(metadata, parse_float=str)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ('{"x":1E400}', '{"type":"till","x":1E400}'),
        ('{ "x": 0.10000000000000000000000001}', '{"type":"till","x":0.10000000000000000000000001}'),
        (' {"type":"shop", "x": 1.0e0} ', '{"type":"shop","x":1.0e0}'),
        ("{ }", '{"type":"till"}'),
        ('{"x":' + "9" * 5000 + "}", '{"type":"till","x":' + "9" * 5000 + "}"),
    ],
    ids=["large", "exact", "typed", "empty", "long"],
)
async def test_metadata_is_sent_as_typed(address: str, typed: str, sent: str) -> None:
    """Till removes white space, and keeps each number unchanged."""
    made = await run(address, "invoice", "create", "5000", "--metadata", typed, "--json")

    assert made.exit_code == 0, made.stderr
    assert made.stdout.rstrip().endswith(f', "metadata": {sent}}}')


async def test_a_type_is_given_once(address: str) -> None:
    twice = ("--type", "shop", "--metadata", '{"type": "other"}')
    beside = ("--type", "shop", "--metadata", '{"x": 1}')

    told = await run(address, "invoice", "create", "5000", *twice)
    made = await run(address, "invoice", "create", "5000", *beside, "--json")

    assert told.exit_code == 2
    assert "--type" in told.stderr
    assert json.loads(made.stdout)["metadata"] == {"type": "shop", "x": 1}


@pytest.mark.parametrize("metadata", ['{"x": NaN}', '{"x": [-Infinity]}', '{"x": "\udcff"}', "[" * 10**5])
async def test_malformed_metadata_is_wrong_usage(address: str, metadata: str) -> None:
    told = await run(address, "invoice", "create", "5000", "--metadata", metadata)

    assert told.exit_code == 2
    assert "JSON object" in told.stderr
