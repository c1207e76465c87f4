import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from till.v1 import invoice_pb2 as _invoice_pb2
from till.v1 import invreq_pb2 as _invreq_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateInvreqRequest(_message.Message):
    __slots__ = ("amount_msat", "description", "issuer", "label", "expires_at", "single_use")
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_FIELD_NUMBER: _ClassVar[int]
    amount_msat: int
    description: str
    issuer: str
    label: str
    expires_at: _timestamp_pb2.Timestamp
    single_use: bool
    def __init__(self, amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., issuer: _Optional[str] = ..., label: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., single_use: _Optional[bool] = ...) -> None: ...

class CreateInvreqResponse(_message.Message):
    __slots__ = ("invreq",)
    INVREQ_FIELD_NUMBER: _ClassVar[int]
    invreq: _invreq_pb2.Invreq
    def __init__(self, invreq: _Optional[_Union[_invreq_pb2.Invreq, _Mapping]] = ...) -> None: ...

class GetInvreqRequest(_message.Message):
    __slots__ = ("invreq_id",)
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    def __init__(self, invreq_id: _Optional[str] = ...) -> None: ...

class GetInvreqResponse(_message.Message):
    __slots__ = ("invreq",)
    INVREQ_FIELD_NUMBER: _ClassVar[int]
    invreq: _invreq_pb2.Invreq
    def __init__(self, invreq: _Optional[_Union[_invreq_pb2.Invreq, _Mapping]] = ...) -> None: ...

class ListInvreqsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInvreqsResponse(_message.Message):
    __slots__ = ("invreqs", "next_page_token")
    INVREQS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invreqs: _containers.RepeatedCompositeFieldContainer[_invreq_pb2.Invreq]
    next_page_token: str
    def __init__(self, invreqs: _Optional[_Iterable[_Union[_invreq_pb2.Invreq, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DisableInvreqRequest(_message.Message):
    __slots__ = ("invreq_id",)
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    def __init__(self, invreq_id: _Optional[str] = ...) -> None: ...

class DisableInvreqResponse(_message.Message):
    __slots__ = ("invreq",)
    INVREQ_FIELD_NUMBER: _ClassVar[int]
    invreq: _invreq_pb2.Invreq
    def __init__(self, invreq: _Optional[_Union[_invreq_pb2.Invreq, _Mapping]] = ...) -> None: ...

class SendInvoiceRequest(_message.Message):
    __slots__ = ("invreq", "label", "amount_msat", "timeout", "quantity", "metadata")
    INVREQ_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    invreq: str
    label: str
    amount_msat: int
    timeout: _duration_pb2.Duration
    quantity: int
    metadata: str
    def __init__(self, invreq: _Optional[str] = ..., label: _Optional[str] = ..., amount_msat: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., quantity: _Optional[int] = ..., metadata: _Optional[str] = ...) -> None: ...

class SendInvoiceResponse(_message.Message):
    __slots__ = ("invoice", "payment_preimage", "created_index", "updated_index")
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_INDEX_FIELD_NUMBER: _ClassVar[int]
    UPDATED_INDEX_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    payment_preimage: str
    created_index: int
    updated_index: int
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., payment_preimage: _Optional[str] = ..., created_index: _Optional[int] = ..., updated_index: _Optional[int] = ...) -> None: ...
