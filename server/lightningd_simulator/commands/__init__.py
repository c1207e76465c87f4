"""The commands of the simulated node, with lightningd's parameters."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lightningd_simulator.bolts.bolt11 import FINAL_CLTV_EXPIRY
from lightningd_simulator.commands import (
    invoice_requests,
    invoices,
    offers,
    payer,
    payment_lists,
    payments,
    sendinvoice,
    wait,
)
from lightningd_simulator.commands import node as node_commands
from lightningd_simulator.node import Node
from lightningd_simulator.rpc import values
from lightningd_simulator.rpc.answers import Code, Result, RpcError
from lightningd_simulator.rpc.parameters import BadParameter, Parameter, bind, usage
from lightningd_simulator.rpc.requests import Object, Value

_WEEK = 7 * 24 * 3600
_INDEX = values.one_of("created", "updated", "deleted", problem="unknown index")


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `run` takes the node and named parameters, and returns a result or an awaitable."""

    run: Callable[..., Result | Awaitable[Result]]
    parameters: tuple[Parameter, ...] = ()


def call(node: Node, method: str, params: Value) -> Result | Awaitable[Result]:
    """Run a command.

    Raises RpcError, immediately or when awaited, and NodeAborted.
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
    """Check a command's parameters without running the command."""
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


def _help(node: Node, *, command: str | None) -> Result:
    """Return the usage of all commands, except those between simulated nodes."""
    if command is not None and command not in _COMMANDS:
        raise RpcError(Code.UNKNOWN_COMMAND, f"Unknown command {command}")
    names = [command] if command else sorted(name for name in _COMMANDS if not name.startswith("dev-"))
    usages = (f"{name} {usage(_COMMANDS[name].parameters)}" for name in names)
    return {"help": [{"command": usage} for usage in usages], "format-hint": "simple"}


def _ignored(*names: str) -> tuple[Parameter, ...]:
    """Return parameters that only affect routing or listings, and are ignored here."""
    return tuple(Parameter(name, values.anything, None) for name in names)


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
    "getinfo": Command(node_commands.getinfo),
    "stop": Command(node_commands.stop),
    "help": Command(_help, (Parameter("command", values.text, None),)),
    "listfunds": Command(node_commands.listfunds, (Parameter("spent", values.flag, False),)),
    "listpeerchannels": Command(
        node_commands.listpeerchannels,
        (Parameter("id", values.node_id, None), *_ignored("short_channel_id", "channel_id")),
    ),
    "invoice": Command(
        invoices.invoice,
        (
            Parameter("amount_msat", values.positive_msat_or_any),
            Parameter("label", values.label),
            Parameter("description", values.description),
            Parameter("expiry", values.u64, _WEEK),
            Parameter("fallbacks", values.array, []),
            Parameter("preimage", values.preimage, None),
            Parameter("exposeprivatechannels", values.channel_hints, None),
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
            *_ignored("maxfee", "layers", "retry_for", "maxdelay", "payer_note", "label", "localinvreqid"),
        ),
    ),
    "pay": Command(
        payments.pay,
        (
            Parameter("bolt11", values.invoice_string),
            Parameter("amount_msat", values.msat, None),
            *_ignored("label", "riskfactor", "maxfeepercent", "retry_for", "maxdelay", "exemptfee"),
            *_ignored("localinvreqid", "exclude", "maxfee", "description"),
        ),
    ),
    "keysend": Command(
        node_commands.keysend,
        (
            Parameter("destination", values.node_id),
            Parameter("amount_msat", values.msat),
            *_ignored("label", "maxfeepercent", "retry_for", "maxdelay", "exemptfee"),
            *_ignored("extratlvs", "routehints", "maxfee"),
        ),
    ),
    "offer": Command(
        offers.offer,
        (
            Parameter("amount", values.offered_msat),
            Parameter("description", values.description, None),
            Parameter("issuer", values.description, None),
            Parameter("label", values.description, None),
            Parameter("quantity_max", values.not_simulated, None),
            Parameter("absolute_expiry", values.u64, None),
            Parameter("recurrence", values.not_simulated, None),
            Parameter("recurrence_base", values.not_simulated, None),
            Parameter("recurrence_paywindow", values.not_simulated, None),
            Parameter("recurrence_limit", values.not_simulated, None),
            Parameter("single_use", values.flag, False),
        ),
    ),
    "listoffers": Command(
        offers.listoffers,
        (Parameter("offer_id", values.sha256, None), Parameter("active_only", values.flag, False)),
    ),
    "disableoffer": Command(offers.disableoffer, (Parameter("offer_id", values.sha256),)),
    "enableoffer": Command(offers.enableoffer, (Parameter("offer_id", values.sha256),)),
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
    # Calls between simulated nodes.
    "dev-onionmessage": Command(
        payer.onionmessage, (Parameter("sender", values.text), Parameter("invoice", values.text))
    ),
    "dev-htlc": Command(
        sendinvoice.htlc,
        (Parameter("payment_hash", values.sha256), Parameter("amount_msat", values.msat)),
    ),
}
