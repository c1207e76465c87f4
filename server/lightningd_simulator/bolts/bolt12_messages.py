"""Invoice requests without an offer, and their invoices, in lightningd's format."""

import secrets
from dataclasses import dataclass
from typing import Self

from coincurve import PrivateKey

from lightningd_simulator.bolts import bolt12, bolt12_fields
from lightningd_simulator.bolts.bolt12 import Fields
from lightningd_simulator.bolts.bolt12_fields import DEFAULT_RELATIVE_EXPIRY, REGTEST, Field, truncated
from lightningd_simulator.rpc.answers import Result

_REQUEST, _INVOICE = "invoice_request", "invoice"
_INVOICE_FEATURES = bytes.fromhex("020000")


@dataclass(frozen=True)
class InvoiceRequest:
    """A request for an invoice, with the promise to pay it."""

    fields: Fields

    @classmethod
    def made(
        cls,
        private_key: str,
        *,
        amount_msat: int,
        description: str | None,
        issuer: str | None,
        absolute_expiry: int | None,
    ) -> Self:
        """Return a new signed request of a node."""
        texts = {Field.DESCRIPTION: description, Field.ISSUER: issuer}
        fields: Fields = {
            Field.METADATA: secrets.token_bytes(16),
            **{field: text.encode() for field, text in texts.items() if text is not None},
            **({} if absolute_expiry is None else {Field.ABSOLUTE_EXPIRY: truncated(absolute_expiry)}),
            Field.CHAIN: REGTEST,
            Field.REQUEST_AMOUNT: truncated(amount_msat),
            Field.PAYER_ID: PrivateKey.from_hex(private_key).public_key.format(),
        }
        return cls(bolt12.signed(_REQUEST, fields, private_key))

    @classmethod
    def read(cls, string: str) -> Self:
        """Return a request, without checking its signature.

        Raises ValueError with lightningd's message.
        """
        return cls(read_fields(string, "lnr", "invalid invreq data"))

    @classmethod
    def payable(cls, string: str) -> Self:
        """Return a request for which an invoice can be sent.

        Raises ValueError with lightningd's message.
        """
        try:
            request = cls.read(string)
            if request.fields.get(Field.CHAIN) != REGTEST:
                raise ValueError("wrong chain")
        except ValueError as problem:
            raise ValueError(f"Unparsable invoice_request: {problem}") from None
        for field, name in ((Field.PAYER_ID, "invreq_payer_id"), (Field.METADATA, "invreq_metadata")):
            if field not in request.fields:
                raise ValueError(f"Missing {name}")
        if Field.SIGNATURE not in request.fields:
            raise ValueError("Missing signature")
        if not request.is_signed:
            raise ValueError("Invalid signature")
        if request.fields.keys() & {Field.ISSUER_ID, Field.OFFER_PATHS}:
            raise ValueError("This is based on an offer?")
        if Field.REQUEST_AMOUNT not in request.fields:
            raise ValueError("Missing invreq_amount")
        return request

    @property
    def is_signed(self) -> bool:
        """True if the payer has signed the request."""
        return bolt12.is_signed_by(self.fields[Field.PAYER_ID], _REQUEST, self.fields)

    @property
    def string(self) -> str:
        """The request as `lnr1…`."""
        return bolt12.write("lnr", self.fields)

    @property
    def id(self) -> str:
        """lightningd's id of the request, in hex."""
        return bolt12.id_of(self.fields)

    @property
    def payer_id(self) -> str:
        """The node that pays, in hex."""
        return self.fields[Field.PAYER_ID].hex()

    @property
    def amount_msat(self) -> int:
        """The largest amount that the payer pays."""
        return int.from_bytes(self.fields[Field.REQUEST_AMOUNT])

    @property
    def description(self) -> str | None:
        """The purpose of the payment."""
        text = self.fields.get(Field.DESCRIPTION)
        return None if text is None else text.decode(errors="replace")

    def shown(self) -> Result:
        """Return the request in the format of `decode`."""
        shown = {"type": "bolt12 invoice_request", **bolt12_fields.shown(self.fields)}
        missing = [
            (Field.METADATA, "warning_missing_invreq_metadata", "invreq_metadata required"),
            (Field.PAYER_ID, "warning_missing_invreq_payer_id", "invreq_payer_id required"),
            (Field.SIGNATURE, "warning_missing_invoice_request_signature", "Missing signature"),
        ]
        warnings = {name: text for field, name, text in missing if field not in self.fields}
        if not warnings and not self.is_signed:
            warnings = {"warning_invalid_invoice_request_signature": "Bad signature"}
            del shown["signature"]
        return {**shown, **warnings, "valid": not warnings}


@dataclass(frozen=True)
class Bolt12Invoice:
    """An invoice for a request."""

    fields: Fields

    @classmethod
    def made(
        cls,
        private_key: str,
        request: InvoiceRequest,
        *,
        amount_msat: int,
        payment_hash: str,
        created_at: int,
        relative_expiry: int,
    ) -> Self:
        """Return a new signed invoice for a request."""
        node_id = PrivateKey.from_hex(private_key).public_key.format()
        fields = {
            Field.PATHS: bolt12_fields.path_to(node_id),
            Field.BLINDED_PAY: bolt12_fields.terms(),
            Field.CREATED_AT: truncated(created_at),
            Field.PAYMENT_HASH: bytes.fromhex(payment_hash),
            Field.AMOUNT: truncated(amount_msat),
            Field.INVOICE_FEATURES: _INVOICE_FEATURES,
            Field.NODE_ID: node_id,
        }
        if relative_expiry != DEFAULT_RELATIVE_EXPIRY:
            fields[Field.RELATIVE_EXPIRY] = truncated(relative_expiry)
        return cls(bolt12.signed(_INVOICE, bolt12.of_request(request.fields) | fields, private_key))

    @classmethod
    def read(cls, string: str) -> Self:
        """Return a complete, signed invoice.

        Raises ValueError with lightningd's message.
        """
        fields = read_fields(string, "lni", "invalid invoice data")
        for field, problem in (
            (Field.NODE_ID, "Missing node_id"),
            (Field.SIGNATURE, "Missing signature"),
        ):
            if field not in fields:
                raise ValueError(problem)
        if not bolt12.is_signed_by(fields[Field.NODE_ID], _INVOICE, fields):
            raise ValueError("Invalid signature")
        for field, problem in (
            (Field.AMOUNT, "missing invoice_amount"),
            (Field.CREATED_AT, "missing invoice_created_at"),
            (Field.PAYMENT_HASH, "missing invoice_payment_hash"),
            (Field.PATHS, "missing/empty invoice_paths"),
            (Field.BLINDED_PAY, "expected 1 payinfo but found 0"),
        ):
            if field not in fields:
                raise ValueError(problem)
        return cls(fields)

    @property
    def string(self) -> str:
        """The invoice as `lni1…`."""
        return bolt12.write("lni", self.fields)

    @property
    def invreq_id(self) -> str:
        """The id of the request that the invoice answers."""
        return bolt12.id_of(self.fields)

    @property
    def payment_hash(self) -> str:
        """The hash of the preimage, which proves a payment."""
        return self.fields[Field.PAYMENT_HASH].hex()

    @property
    def node_id(self) -> str:
        """The payee, in hex."""
        return self.fields[Field.NODE_ID].hex()

    @property
    def amount_msat(self) -> int:
        """The amount of the invoice."""
        return int.from_bytes(self.fields[Field.AMOUNT])

    @property
    def requested_msat(self) -> int:
        """The largest amount that the request's payer pays."""
        return int.from_bytes(self.fields.get(Field.REQUEST_AMOUNT, b""))

    @property
    def expires_at(self) -> int:
        """The expiry, in seconds since 1970."""
        expiry = self.fields.get(Field.RELATIVE_EXPIRY)
        return int.from_bytes(self.fields[Field.CREATED_AT]) + (
            DEFAULT_RELATIVE_EXPIRY if expiry is None else int.from_bytes(expiry)
        )

    def shown(self) -> Result:
        """Return the invoice in the format of `decode`."""
        # lightningd shows the default expiry, too.
        default = {Field.RELATIVE_EXPIRY: truncated(DEFAULT_RELATIVE_EXPIRY)}
        return {"type": "bolt12 invoice", **bolt12_fields.shown(default | self.fields), "valid": True}


def read_fields(string: str, prefix: str, problem: str) -> Fields:
    """Return the fields of a string with a prefix.

    Raises ValueError with lightningd's message, or `problem` for malformed data.
    """
    found, data = bolt12.data_of(string)
    if found != prefix:
        raise ValueError(f"unexpected prefix {found}")
    try:
        fields = bolt12.fields_of(data)
        bolt12_fields.shown(fields)
    except ValueError:
        raise ValueError(problem) from None
    return fields
