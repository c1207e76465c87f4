import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvoiceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOICE_STATUS_UNSPECIFIED: _ClassVar[InvoiceStatus]
    INVOICE_STATUS_UNPAID: _ClassVar[InvoiceStatus]
    INVOICE_STATUS_PAID: _ClassVar[InvoiceStatus]
    INVOICE_STATUS_EXPIRED: _ClassVar[InvoiceStatus]
    INVOICE_STATUS_CANCELED: _ClassVar[InvoiceStatus]
INVOICE_STATUS_UNSPECIFIED: InvoiceStatus
INVOICE_STATUS_UNPAID: InvoiceStatus
INVOICE_STATUS_PAID: InvoiceStatus
INVOICE_STATUS_EXPIRED: InvoiceStatus
INVOICE_STATUS_CANCELED: InvoiceStatus

class Invoice(_message.Message):
    __slots__ = ("id", "invoice_id", "username", "label", "amount_msat", "description", "metadata", "payment_hash", "bolt11", "status", "created_at", "expires_at", "payment", "bolt12")
    ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    BOLT11_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    BOLT12_FIELD_NUMBER: _ClassVar[int]
    id: str
    invoice_id: str
    username: str
    label: str
    amount_msat: int
    description: str
    metadata: str
    payment_hash: str
    bolt11: str
    status: InvoiceStatus
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    payment: Payment
    bolt12: str
    def __init__(self, id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., username: _Optional[str] = ..., label: _Optional[str] = ..., amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., metadata: _Optional[str] = ..., payment_hash: _Optional[str] = ..., bolt11: _Optional[str] = ..., status: _Optional[_Union[InvoiceStatus, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., payment: _Optional[_Union[Payment, _Mapping]] = ..., bolt12: _Optional[str] = ...) -> None: ...

class Payment(_message.Message):
    __slots__ = ("pay_index", "amount_received_msat", "paid_at", "payment_preimage")
    PAY_INDEX_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_RECEIVED_MSAT_FIELD_NUMBER: _ClassVar[int]
    PAID_AT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    pay_index: int
    amount_received_msat: int
    paid_at: _timestamp_pb2.Timestamp
    payment_preimage: str
    def __init__(self, pay_index: _Optional[int] = ..., amount_received_msat: _Optional[int] = ..., paid_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., payment_preimage: _Optional[str] = ...) -> None: ...
