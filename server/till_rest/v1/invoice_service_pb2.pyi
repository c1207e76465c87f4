from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateInvoiceRequest(_message.Message):
    __slots__ = ("raw",)
    RAW_FIELD_NUMBER: _ClassVar[int]
    raw: _httpbody_pb2.HttpBody
    def __init__(self, raw: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class GetInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id", "watch_token")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    watch_token: bool
    def __init__(self, invoice_id: _Optional[str] = ..., watch_token: _Optional[bool] = ...) -> None: ...

class GetInvoiceByIdRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id",)
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    def __init__(self, invoice_id: _Optional[str] = ...) -> None: ...

class ListInvoicesRequest(_message.Message):
    __slots__ = ("status", "type", "label", "label_prefix", "rhash", "payreq", "created_from", "created_to", "paid_from", "paid_to", "metadata", "order", "tz", "limit", "page")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_PREFIX_FIELD_NUMBER: _ClassVar[int]
    RHASH_FIELD_NUMBER: _ClassVar[int]
    PAYREQ_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    PAID_FROM_FIELD_NUMBER: _ClassVar[int]
    PAID_TO_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    TZ_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    status: _containers.RepeatedScalarFieldContainer[str]
    type: str
    label: str
    label_prefix: str
    rhash: str
    payreq: str
    created_from: str
    created_to: str
    paid_from: str
    paid_to: str
    metadata: str
    order: str
    tz: str
    limit: str
    page: str
    def __init__(self, status: _Optional[_Iterable[str]] = ..., type: _Optional[str] = ..., label: _Optional[str] = ..., label_prefix: _Optional[str] = ..., rhash: _Optional[str] = ..., payreq: _Optional[str] = ..., created_from: _Optional[str] = ..., created_to: _Optional[str] = ..., paid_from: _Optional[str] = ..., paid_to: _Optional[str] = ..., metadata: _Optional[str] = ..., order: _Optional[str] = ..., tz: _Optional[str] = ..., limit: _Optional[str] = ..., page: _Optional[str] = ...) -> None: ...

class ExportInvoicesRequest(_message.Message):
    __slots__ = ("status", "type", "label", "label_prefix", "rhash", "payreq", "created_from", "created_to", "paid_from", "paid_to", "metadata", "order", "tz")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_PREFIX_FIELD_NUMBER: _ClassVar[int]
    RHASH_FIELD_NUMBER: _ClassVar[int]
    PAYREQ_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    PAID_FROM_FIELD_NUMBER: _ClassVar[int]
    PAID_TO_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    TZ_FIELD_NUMBER: _ClassVar[int]
    status: _containers.RepeatedScalarFieldContainer[str]
    type: str
    label: str
    label_prefix: str
    rhash: str
    payreq: str
    created_from: str
    created_to: str
    paid_from: str
    paid_to: str
    metadata: str
    order: str
    tz: str
    def __init__(self, status: _Optional[_Iterable[str]] = ..., type: _Optional[str] = ..., label: _Optional[str] = ..., label_prefix: _Optional[str] = ..., rhash: _Optional[str] = ..., payreq: _Optional[str] = ..., created_from: _Optional[str] = ..., created_to: _Optional[str] = ..., paid_from: _Optional[str] = ..., paid_to: _Optional[str] = ..., metadata: _Optional[str] = ..., order: _Optional[str] = ..., tz: _Optional[str] = ...) -> None: ...

class CancelInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id",)
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    def __init__(self, invoice_id: _Optional[str] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("to", "tz", "by")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TZ_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    to: str
    tz: str
    by: str
    def __init__(self, to: _Optional[str] = ..., tz: _Optional[str] = ..., by: _Optional[str] = ..., **kwargs) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
