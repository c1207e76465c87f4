import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from till.v1 import invoice_pb2 as _invoice_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateInvoiceRequest(_message.Message):
    __slots__ = ("amount_msat", "description", "expiry", "metadata", "label", "with_watch_token")
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    WITH_WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    amount_msat: int
    description: str
    expiry: _duration_pb2.Duration
    metadata: str
    label: str
    with_watch_token: bool
    def __init__(self, amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., expiry: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[str] = ..., label: _Optional[str] = ..., with_watch_token: _Optional[bool] = ...) -> None: ...

class CreateInvoiceResponse(_message.Message):
    __slots__ = ("invoice", "watch_token")
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    watch_token: str
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., watch_token: _Optional[str] = ...) -> None: ...

class GetInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id", "with_watch_token")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    with_watch_token: bool
    def __init__(self, invoice_id: _Optional[str] = ..., with_watch_token: _Optional[bool] = ...) -> None: ...

class GetInvoiceResponse(_message.Message):
    __slots__ = ("invoice", "watch_token")
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    watch_token: str
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., watch_token: _Optional[str] = ...) -> None: ...

class GetInvoiceByIdRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetInvoiceByIdResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class LookupInvoiceRequest(_message.Message):
    __slots__ = ("label", "payment_hash", "bolt11")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    BOLT11_FIELD_NUMBER: _ClassVar[int]
    label: str
    payment_hash: str
    bolt11: str
    def __init__(self, label: _Optional[str] = ..., payment_hash: _Optional[str] = ..., bolt11: _Optional[str] = ...) -> None: ...

class LookupInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class WatchInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id",)
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    def __init__(self, invoice_id: _Optional[str] = ...) -> None: ...

class WatchInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("invoices", "volume_msat", "online", "node", "volume_out_msat")
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    VOLUME_MSAT_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_OUT_MSAT_FIELD_NUMBER: _ClassVar[int]
    invoices: int
    volume_msat: int
    online: bool
    node: Node
    volume_out_msat: int
    def __init__(self, invoices: _Optional[int] = ..., volume_msat: _Optional[int] = ..., online: _Optional[bool] = ..., node: _Optional[_Union[Node, _Mapping]] = ..., volume_out_msat: _Optional[int] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("id", "alias", "color", "num_peers", "num_pending_channels", "num_active_channels", "num_inactive_channels", "address", "binding", "version", "blockheight", "network", "fees_collected_msat")
    ID_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    NUM_PEERS_FIELD_NUMBER: _ClassVar[int]
    NUM_PENDING_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    NUM_ACTIVE_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    NUM_INACTIVE_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BLOCKHEIGHT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    FEES_COLLECTED_MSAT_FIELD_NUMBER: _ClassVar[int]
    id: str
    alias: str
    color: str
    num_peers: int
    num_pending_channels: int
    num_active_channels: int
    num_inactive_channels: int
    address: _containers.RepeatedCompositeFieldContainer[NodeAddress]
    binding: _containers.RepeatedCompositeFieldContainer[NodeAddress]
    version: str
    blockheight: int
    network: str
    fees_collected_msat: int
    def __init__(self, id: _Optional[str] = ..., alias: _Optional[str] = ..., color: _Optional[str] = ..., num_peers: _Optional[int] = ..., num_pending_channels: _Optional[int] = ..., num_active_channels: _Optional[int] = ..., num_inactive_channels: _Optional[int] = ..., address: _Optional[_Iterable[_Union[NodeAddress, _Mapping]]] = ..., binding: _Optional[_Iterable[_Union[NodeAddress, _Mapping]]] = ..., version: _Optional[str] = ..., blockheight: _Optional[int] = ..., network: _Optional[str] = ..., fees_collected_msat: _Optional[int] = ...) -> None: ...

class NodeAddress(_message.Message):
    __slots__ = ("type", "address", "port")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    type: str
    address: str
    port: int
    def __init__(self, type: _Optional[str] = ..., address: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...
