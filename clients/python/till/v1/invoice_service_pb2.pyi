import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from till.v1 import invoice_pb2 as _invoice_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PayabilityStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYABILITY_STATUS_UNSPECIFIED: _ClassVar[PayabilityStatus]
    PAYABILITY_STATUS_OK: _ClassVar[PayabilityStatus]
    PAYABILITY_STATUS_INSUFFICIENT: _ClassVar[PayabilityStatus]
    PAYABILITY_STATUS_OFFLINE: _ClassVar[PayabilityStatus]
    PAYABILITY_STATUS_PRIVATE_ONLY: _ClassVar[PayabilityStatus]
    PAYABILITY_STATUS_UNKNOWN: _ClassVar[PayabilityStatus]

class InvoiceOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOICE_ORDER_UNSPECIFIED: _ClassVar[InvoiceOrder]
    INVOICE_ORDER_CREATED_DESC: _ClassVar[InvoiceOrder]
    INVOICE_ORDER_CREATED_ASC: _ClassVar[InvoiceOrder]
    INVOICE_ORDER_PAID_DESC: _ClassVar[InvoiceOrder]
    INVOICE_ORDER_PAID_ASC: _ClassVar[InvoiceOrder]

class ReportGrouping(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPORT_GROUPING_UNSPECIFIED: _ClassVar[ReportGrouping]
    REPORT_GROUPING_TYPE: _ClassVar[ReportGrouping]
    REPORT_GROUPING_DAY: _ClassVar[ReportGrouping]
    REPORT_GROUPING_KEY: _ClassVar[ReportGrouping]
PAYABILITY_STATUS_UNSPECIFIED: PayabilityStatus
PAYABILITY_STATUS_OK: PayabilityStatus
PAYABILITY_STATUS_INSUFFICIENT: PayabilityStatus
PAYABILITY_STATUS_OFFLINE: PayabilityStatus
PAYABILITY_STATUS_PRIVATE_ONLY: PayabilityStatus
PAYABILITY_STATUS_UNKNOWN: PayabilityStatus
INVOICE_ORDER_UNSPECIFIED: InvoiceOrder
INVOICE_ORDER_CREATED_DESC: InvoiceOrder
INVOICE_ORDER_CREATED_ASC: InvoiceOrder
INVOICE_ORDER_PAID_DESC: InvoiceOrder
INVOICE_ORDER_PAID_ASC: InvoiceOrder
REPORT_GROUPING_UNSPECIFIED: ReportGrouping
REPORT_GROUPING_TYPE: ReportGrouping
REPORT_GROUPING_DAY: ReportGrouping
REPORT_GROUPING_KEY: ReportGrouping

class CreateInvoiceRequest(_message.Message):
    __slots__ = ("amount_msat", "description", "expiry", "metadata", "label", "with_watch_token", "expose_private_channels", "description_hash_only", "webhook_url")
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    WITH_WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPOSE_PRIVATE_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_HASH_ONLY_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_URL_FIELD_NUMBER: _ClassVar[int]
    amount_msat: int
    description: str
    expiry: _duration_pb2.Duration
    metadata: str
    label: str
    with_watch_token: bool
    expose_private_channels: ExposePrivateChannels
    description_hash_only: bool
    webhook_url: str
    def __init__(self, amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., expiry: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[str] = ..., label: _Optional[str] = ..., with_watch_token: _Optional[bool] = ..., expose_private_channels: _Optional[_Union[ExposePrivateChannels, _Mapping]] = ..., description_hash_only: _Optional[bool] = ..., webhook_url: _Optional[str] = ...) -> None: ...

class ExposePrivateChannels(_message.Message):
    __slots__ = ("all", "short_channel_ids")
    ALL_FIELD_NUMBER: _ClassVar[int]
    SHORT_CHANNEL_IDS_FIELD_NUMBER: _ClassVar[int]
    all: bool
    short_channel_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, all: _Optional[bool] = ..., short_channel_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateInvoiceResponse(_message.Message):
    __slots__ = ("invoice", "watch_token", "payability", "webhook")
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAYABILITY_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    watch_token: str
    payability: Payability
    webhook: InvoiceWebhook
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., watch_token: _Optional[str] = ..., payability: _Optional[_Union[Payability, _Mapping]] = ..., webhook: _Optional[_Union[InvoiceWebhook, _Mapping]] = ...) -> None: ...

class InvoiceWebhook(_message.Message):
    __slots__ = ("id", "secret")
    ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    id: str
    secret: str
    def __init__(self, id: _Optional[str] = ..., secret: _Optional[str] = ...) -> None: ...

class Payability(_message.Message):
    __slots__ = ("status", "detail")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    status: PayabilityStatus
    detail: str
    def __init__(self, status: _Optional[_Union[PayabilityStatus, str]] = ..., detail: _Optional[str] = ...) -> None: ...

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

class InvoiceFilter(_message.Message):
    __slots__ = ("statuses", "type", "label", "label_prefix", "payment_hash", "bolt11", "created_from", "created_to", "paid_from", "paid_to", "metadata")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    BOLT11_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    PAID_FROM_FIELD_NUMBER: _ClassVar[int]
    PAID_TO_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[_invoice_pb2.InvoiceStatus]
    type: str
    label: str
    label_prefix: str
    payment_hash: str
    bolt11: str
    created_from: _timestamp_pb2.Timestamp
    created_to: _timestamp_pb2.Timestamp
    paid_from: _timestamp_pb2.Timestamp
    paid_to: _timestamp_pb2.Timestamp
    metadata: MetadataMember
    def __init__(self, statuses: _Optional[_Iterable[_Union[_invoice_pb2.InvoiceStatus, str]]] = ..., type: _Optional[str] = ..., label: _Optional[str] = ..., label_prefix: _Optional[str] = ..., payment_hash: _Optional[str] = ..., bolt11: _Optional[str] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Union[MetadataMember, _Mapping]] = ...) -> None: ...

class MetadataMember(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ListInvoicesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "order")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: InvoiceFilter
    order: InvoiceOrder
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[InvoiceFilter, _Mapping]] = ..., order: _Optional[_Union[InvoiceOrder, str]] = ...) -> None: ...

class ListInvoicesResponse(_message.Message):
    __slots__ = ("invoices", "next_page_token")
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoices: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.Invoice]
    next_page_token: str
    def __init__(self, invoices: _Optional[_Iterable[_Union[_invoice_pb2.Invoice, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExportInvoicesRequest(_message.Message):
    __slots__ = ("filter", "order", "time_zone")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    filter: InvoiceFilter
    order: InvoiceOrder
    time_zone: str
    def __init__(self, filter: _Optional[_Union[InvoiceFilter, _Mapping]] = ..., order: _Optional[_Union[InvoiceOrder, str]] = ..., time_zone: _Optional[str] = ...) -> None: ...

class ExportInvoicesResponse(_message.Message):
    __slots__ = ("csv", "invoices")
    CSV_FIELD_NUMBER: _ClassVar[int]
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    csv: str
    invoices: int
    def __init__(self, csv: _Optional[str] = ..., invoices: _Optional[int] = ...) -> None: ...

class CancelInvoiceRequest(_message.Message):
    __slots__ = ("invoice_id",)
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    def __init__(self, invoice_id: _Optional[str] = ...) -> None: ...

class CancelInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("paid_from", "paid_to", "time_zone", "by")
    PAID_FROM_FIELD_NUMBER: _ClassVar[int]
    PAID_TO_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    paid_from: _timestamp_pb2.Timestamp
    paid_to: _timestamp_pb2.Timestamp
    time_zone: str
    by: ReportGrouping
    def __init__(self, paid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_zone: _Optional[str] = ..., by: _Optional[_Union[ReportGrouping, str]] = ...) -> None: ...

class GetReportResponse(_message.Message):
    __slots__ = ("count", "amount_received_msat", "groups")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_RECEIVED_MSAT_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    count: int
    amount_received_msat: int
    groups: _containers.RepeatedCompositeFieldContainer[ReportGroup]
    def __init__(self, count: _Optional[int] = ..., amount_received_msat: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[ReportGroup, _Mapping]]] = ...) -> None: ...

class ReportGroup(_message.Message):
    __slots__ = ("name", "count", "amount_received_msat")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_RECEIVED_MSAT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    amount_received_msat: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., amount_received_msat: _Optional[int] = ...) -> None: ...

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
