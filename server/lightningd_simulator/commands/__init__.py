"""The commands of the simulated node, with their parameters as lightningd has them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lightningd_simulator.bolts.bolt11 import FINAL_CLTV_EXPIRY
from lightningd_simulator.commands import (
    invoice_requests,
    invoices,
    payer,
    payment_lists,
    payments,
    sendinvoice,
    wait,
)
from lightningd_simulator.node import Node
from lightningd_simulator.rpc import values
from lightningd_simulator.rpc.answers import Code, Result, RpcError
from lightningd_simulator.rpc.parameters import BadParameter, Parameter, bind
from lightningd_simulator.rpc.requests import Object, Value

# What tells this node from a real one, to people and to programs.
VERSION = "v26.06.6-simulated"
ALIAS = "till-simulated"

_WEEK = 7 * 24 * 3600
_INDEX = values.one_of("created", "updated", "deleted", problem="unknown index")


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `run` takes the node and, by name, the parameters; it answers now or later."""

    run: Callable[..., Result | Awaitable[Result]]
    parameters: tuple[Parameter, ...] = ()


def call(node: Node, method: str, params: Value) -> Result | Awaitable[Result]:
    """Run a command.

    Raises RpcError, now or when the result is awaited, and NodeAborted.
    """
    if method == "check":
        return _check(params)
    command = _named(method)
    return command.run(node, **bind(command.parameters, params))


def _named(method: str) -> Command:
    if method not in _COMMANDS:
        raise RpcError(Code.UNKNOWN_COMMAND, f"Unknown command '{method}'")
    return _COMMANDS[method]


def _check(params: Value) -> Result:
    """Check a command's parameters, one by one, without running it."""
    match params:
        case Object(pairs):
            given: list[Value] = [value for name, value in pairs if name == "command_to_check"][:1]
            rest: Value = Object([pair for pair in pairs if pair[0] != "command_to_check"])
        case list():
            given, rest = params[:1], params[1:]
        case _:
            raise RpcError(Code.INVALID_PARAMS, "Expected array or object for params")
    if not given:
        raise RpcError(Code.INVALID_PARAMS, "missing required parameter: command_to_check")
    name = values.text(given[0])
    try:
        bind(_named(name).parameters, rest)
    except BadParameter as error:
        raise error.in_check from None
    return {"command_to_check": name}


def _getinfo(node: Node) -> Result:
    return {
        "id": node.id,
        "alias": ALIAS,
        "color": node.id[:6],
        "num_peers": 0,
        "num_pending_channels": 0,
        "num_active_channels": 0,
        "num_inactive_channels": 0,
        "address": [],
        "binding": [],
        "version": VERSION,
        "blockheight": 0,
        "network": "regtest",
        "fees_collected_msat": 0,
        "lightning-dir": str(node.lightning_dir),
        "our_features": {
            "init": "800898880a8a59a1",
            "node": "808898880a8a59a1",
            "channel": "",
            "invoice": "02000002024100",
        },
    }


def _stop(node: Node) -> Result:
    node.end(None)
    return {"result": "Shutdown complete"}


# Those that change how a payment finds its way, which here has none to find.
_PAYING = tuple(
    Parameter(name, values.anything, None)
    for name in ("maxfee", "layers", "retry_for", "maxdelay", "payer_note", "label", "riskfactor")
)

_PAYMENTS = (
    Parameter("bolt11", values.invoice_string, None),
    Parameter("payment_hash", values.sha256, None),
    Parameter(
        "status", values.one_of("pending", "complete", "failed", problem="should be an invoice status"), None
    ),
    Parameter("index", _INDEX, None),
    Parameter("start", values.index_start, 0),
    Parameter("limit", values.u32, None),
)

_COMMANDS = {
    "getinfo": Command(_getinfo),
    "stop": Command(_stop),
    "invoice": Command(
        invoices.invoice,
        (
            Parameter("amount_msat", values.positive_msat_or_any),
            Parameter("label", values.label),
            Parameter("description", values.description),
            Parameter("expiry", values.u64, _WEEK),
            Parameter("fallbacks", values.array, []),
            Parameter("preimage", values.preimage, None),
            Parameter("exposeprivatechannels", values.channel_hints, False),
            Parameter("cltv", values.number, FINAL_CLTV_EXPIRY),
            Parameter("deschashonly", values.flag, False),
        ),
    ),
    "listinvoices": Command(
        invoices.listinvoices,
        (
            Parameter("label", values.label, None),
            Parameter("invstring", values.invoice_string, None),
            Parameter("payment_hash", values.sha256, None),
            Parameter("offer_id", values.sha256, None),
            Parameter("index", _INDEX, None),
            Parameter("start", values.index_start, 0),
            Parameter("limit", values.u32, None),
        ),
    ),
    "delinvoice": Command(
        invoices.delinvoice,
        (
            Parameter("label", values.label),
            Parameter("status", values.text),
            Parameter("desconly", values.flag, False),
        ),
    ),
    "wait": Command(
        wait.wait,
        (
            Parameter("subsystem", values.one_of(*wait.SUBSYSTEMS, problem="unknown subsystem")),
            Parameter("indexname", _INDEX),
            Parameter("nextvalue", values.u64),
        ),
    ),
    "waitinvoice": Command(invoices.waitinvoice, (Parameter("label", values.label),)),
    "waitanyinvoice": Command(
        invoices.waitanyinvoice,
        (
            Parameter("lastpay_index", values.index_start, 0),
            Parameter("timeout", values.u64, None),
        ),
    ),
    "decode": Command(payments.decode, (Parameter("string", values.string),)),
    "xpay": Command(
        payments.xpay,
        (
            Parameter("invstring", values.invoice_string),
            Parameter("amount_msat", values.msat, None),
            *_PAYING,
        ),
    ),
    "pay": Command(
        payments.pay,
        (
            Parameter("bolt11", values.invoice_string),
            Parameter("amount_msat", values.msat, None),
            *_PAYING,
        ),
    ),
    "invoicerequest": Command(
        invoice_requests.invoicerequest,
        (
            Parameter("amount", values.msat),
            Parameter("description", values.description, None),
            Parameter("issuer", values.description, None),
            Parameter("label", values.description, None),
            Parameter("absolute_expiry", values.u64, None),
            Parameter("single_use", values.flag, True),
        ),
    ),
    "listinvoicerequests": Command(
        invoice_requests.listinvoicerequests,
        (Parameter("invreq_id", values.sha256, None), Parameter("active_only", values.flag, False)),
    ),
    "disableinvoicerequest": Command(
        invoice_requests.disableinvoicerequest, (Parameter("invreq_id", values.sha256),)
    ),
    "sendinvoice": Command(
        sendinvoice.sendinvoice,
        (
            Parameter("invreq", values.invoice_request),
            Parameter("label", values.label),
            Parameter("amount_msat", values.msat, None),
            Parameter("timeout", values.number, 90),
        ),
    ),
    "listpays": Command(payment_lists.listpays, _PAYMENTS),
    "listsendpays": Command(payment_lists.listsendpays, _PAYMENTS),
    # What goes between simulated nodes.
    "dev-onionmessage": Command(
        payer.onionmessage, (Parameter("sender", values.text), Parameter("invoice", values.text))
    ),
    "dev-htlc": Command(
        sendinvoice.htlc,
        (Parameter("payment_hash", values.sha256), Parameter("amount_msat", values.msat)),
    ),
}
