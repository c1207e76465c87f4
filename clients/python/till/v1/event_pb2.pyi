import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from till.v1 import invoice_pb2 as _invoice_pb2
from till.v1 import invreq_pb2 as _invreq_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("id", "sequence", "type", "timestamp", "username", "cursor", "invoice", "invreq", "invoice_import", "disabled_webhook")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    INVREQ_FIELD_NUMBER: _ClassVar[int]
    INVOICE_IMPORT_FIELD_NUMBER: _ClassVar[int]
    DISABLED_WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    id: str
    sequence: int
    type: str
    timestamp: _timestamp_pb2.Timestamp
    username: str
    cursor: str
    invoice: _invoice_pb2.Invoice
    invreq: _invreq_pb2.Invreq
    invoice_import: InvoiceImport
    disabled_webhook: DisabledWebhook
    def __init__(self, id: _Optional[str] = ..., sequence: _Optional[int] = ..., type: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., username: _Optional[str] = ..., cursor: _Optional[str] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., invreq: _Optional[_Union[_invreq_pb2.Invreq, _Mapping]] = ..., invoice_import: _Optional[_Union[InvoiceImport, _Mapping]] = ..., disabled_webhook: _Optional[_Union[DisabledWebhook, _Mapping]] = ...) -> None: ...

class InvoiceImport(_message.Message):
    __slots__ = ("invoices",)
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    invoices: int
    def __init__(self, invoices: _Optional[int] = ...) -> None: ...

class DisabledWebhook(_message.Message):
    __slots__ = ("id", "url", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    url: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., url: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
