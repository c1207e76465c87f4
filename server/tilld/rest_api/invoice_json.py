"""Invoices and the node in the documented JSON: names, order, and formats of numbers and times."""

from datetime import datetime
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from tilld.errors import InvalidRequest
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.formats.strict_json import write
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.service import Info
from tilld.invoices.terms import (
    DEFAULT_EXPIRY_SECONDS,
    MAX_DESCRIPTION_BYTES,
    MAX_EXPIRY_SECONDS,
    InvoiceTerms,
)
from tilld.lightningd.info import NodeAddress, NodeInfo
from tilld.rest_api import body
from tilld.rest_api.fields import (
    HASH,
    INVOICE_ID,
    TEXT,
    Label,
    Metadata,
    Time,
    described,
    extensible,
    given,
    optional,
)

ANY = "any"
MSAT = f'a whole number of millisatoshi, or "{ANY}"'


class CreateInvoice(Struct, forbid_unknown_fields=True):
    """An invoice to create."""

    msat: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_AMOUNT_MSAT})]
        | Annotated[str, Meta(extra_json_schema={"enum": [ANY]})],
        described(
            f'Amount in millisatoshi, or `"any"`: the payer chooses. 1 to {MAX_AMOUNT_MSAT:,}.',
            must_be=MSAT,
        ),
    ]
    metadata: Metadata
    description: (
        Annotated[
            str,
            described(
                "Text for the payer: at most 8 KiB, without control characters other than tab and line "
                "breaks. If it exceeds 639 bytes, the payment request contains only its hash.",
                maxLength=MAX_DESCRIPTION_BYTES,
                pattern=TEXT,
            ),
        ]
        | UnsetType
    ) = UNSET
    expiry: Annotated[
        int,
        described(
            "Seconds until the invoice expires, at most 365 days.",
            must_be="a whole number of seconds",
            minimum=1,
            maximum=MAX_EXPIRY_SECONDS,
        ),
    ] = DEFAULT_EXPIRY_SECONDS
    label: Label | UnsetType = UNSET
    watch_token: Annotated[bool, described("`true` adds a watch token for the payer's browser.")] = False


class CreateRequest(NamedTuple):
    """The terms of an invoice, and whether a watch token is requested."""

    terms: InvoiceTerms
    watch_token: bool


def create_request(raw: bytes, idempotency_key: str | None = None) -> CreateRequest:
    """Return the terms of an invoice. The header Idempotency-Key may give the label.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    asked = body.read(raw, CreateInvoice)
    if isinstance(asked.msat, str) and asked.msat != ANY:
        raise InvalidRequest(f"msat must be {MSAT}")
    terms = InvoiceTerms.checked(
        amount_msat=None if isinstance(asked.msat, str) else asked.msat,
        description=given(asked.description),
        expiry=asked.expiry,
        metadata=bytes(asked.metadata).decode(),
        label=body.label(asked.label, idempotency_key),
        amount_field="msat",
    )
    return CreateRequest(terms, asked.watch_token)


class InvoiceJson(Struct):
    """An invoice."""

    status: Annotated[
        str,
        described(
            "`unpaid`, `paid` or `expired`; the last two are final. Later versions may add others.",
            **extensible(Status),
        ),
    ]
    id: Annotated[str, described("Internal id.", pattern="^[0-9a-f]{24}$")] = field(name="_id")
    metadata: Metadata
    expires_at: Annotated[Time, described("When the invoice expires.")]
    created_at: Annotated[Time, described("When the invoice was created.")]
    msatoshi: Annotated[
        int | None, described("Requested amount, in msat; null: the payer chooses.", minimum=1)
    ]
    invoiceid: Annotated[str, described("Public id.", pattern=INVOICE_ID)]
    rhash: Annotated[str, described("Payment hash.", pattern=HASH)]
    payreq: Annotated[
        str,
        described(
            "Payment request (BOLT 11), which the payer scans. "
            "An invoice that was sent to collect has its BOLT 12 string here."
        ),
    ]
    username: Annotated[str, described("User who owns the invoice.")]
    description: Annotated[str, described("Text for the payer, if given.")] | UnsetType = UNSET
    label: Annotated[Label, described("Your own name for the invoice, if given.")] | UnsetType = UNSET
    paid_at: Annotated[Time, described("When the invoice was paid.")] | UnsetType = UNSET
    msatoshi_received: (
        Annotated[
            int,
            described("Received amount, in msat; a payer may send more than requested.", minimum=0),
        ]
        | UnsetType
    ) = UNSET
    pay_index: (
        Annotated[int, described("Position among all payments that the node received.", minimum=1)]
        | UnsetType
    ) = UNSET
    watch_token: (
        Annotated[
            str,
            described(
                "Token with which a payer's browser reads and watches the invoice, if requested.",
                pattern="^watch_",
            ),
        ]
        | UnsetType
    ) = UNSET


def invoice(invoice: Invoice, watch_token: str | None = None) -> bytes:
    """Return an invoice as documented JSON."""
    payment = invoice.payment
    return write(
        InvoiceJson(
            status=invoice.status,
            id=invoice.id,
            metadata=Raw(invoice.metadata),
            expires_at=_time(invoice.expires_at),
            created_at=_time(invoice.created_at),
            msatoshi=invoice.amount_msat,
            invoiceid=invoice.invoice_id,
            rhash=invoice.payment_hash,
            payreq=invoice.bolt11,
            username=invoice.username,
            description=optional(invoice.description),
            label=optional(invoice.label),
            paid_at=_time(payment.paid_at) if payment else UNSET,
            msatoshi_received=payment.amount_received_msat if payment else UNSET,
            pay_index=payment.pay_index if payment else UNSET,
            watch_token=optional(watch_token),
        )
    )


class NodeAddressJson(Struct, omit_defaults=True):
    """An address of a node."""

    type: str
    address: str | UnsetType = UNSET
    port: int | UnsetType = UNSET


class NodeInfoJson(Struct):
    """The node, or null if Till never reached it."""

    id: str
    alias: str
    color: str
    num_peers: int
    num_pending_channels: int
    num_active_channels: int
    num_inactive_channels: int
    address: list[NodeAddressJson]
    binding: list[NodeAddressJson]
    version: str
    blockheight: int
    network: str
    msatoshi_fees_collected: int
    fees_collected_msat: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9]+msat$"})]


class InfoJson(Struct):
    """The totals and the node."""

    invoices: Annotated[int, described("Number of your invoices.", minimum=0)]
    volume: Annotated[int, described("Sum that your invoices received, in msat.", minimum=0)]
    node: Annotated[str | None, described("Id of the node, or null if Till never reached it.")]
    online: Annotated[bool, described("Whether the node responds. If not, nothing can be created.")]
    nodeinfo: NodeInfoJson | None


def info(info: Info) -> bytes:
    """Return the totals and the node as documented JSON."""
    return write(
        InfoJson(
            invoices=info.totals.invoices,
            volume=info.totals.volume_msat,
            node=info.node.id if info.node else None,
            online=info.online,
            nodeinfo=_node(info.node) if info.node else None,
        )
    )


def _node(node: NodeInfo) -> NodeInfoJson:
    return NodeInfoJson(
        id=node.id,
        alias=node.alias,
        color=node.color,
        num_peers=node.num_peers,
        num_pending_channels=node.num_pending_channels,
        num_active_channels=node.num_active_channels,
        num_inactive_channels=node.num_inactive_channels,
        address=[_address(each) for each in node.address],
        binding=[_address(each) for each in node.binding],
        version=node.version,
        blockheight=node.blockheight,
        network=node.network,
        msatoshi_fees_collected=node.fees_collected_msat,
        fees_collected_msat=f"{node.fees_collected_msat}msat",
    )


def _address(address: NodeAddress) -> NodeAddressJson:
    return NodeAddressJson(
        type=address.type,
        address=optional(address.address),
        port=optional(address.port),
    )


def _time(time: datetime) -> str:
    return f"{time.isoformat()[:19]}.000Z"
