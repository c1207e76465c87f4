import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvreqStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVREQ_STATUS_UNSPECIFIED: _ClassVar[InvreqStatus]
    INVREQ_STATUS_ACTIVE: _ClassVar[InvreqStatus]
    INVREQ_STATUS_BEING_PAID: _ClassVar[InvreqStatus]
    INVREQ_STATUS_USED: _ClassVar[InvreqStatus]
    INVREQ_STATUS_FAILED: _ClassVar[InvreqStatus]
    INVREQ_STATUS_EXPIRED: _ClassVar[InvreqStatus]
    INVREQ_STATUS_DISABLED: _ClassVar[InvreqStatus]
INVREQ_STATUS_UNSPECIFIED: InvreqStatus
INVREQ_STATUS_ACTIVE: InvreqStatus
INVREQ_STATUS_BEING_PAID: InvreqStatus
INVREQ_STATUS_USED: InvreqStatus
INVREQ_STATUS_FAILED: InvreqStatus
INVREQ_STATUS_EXPIRED: InvreqStatus
INVREQ_STATUS_DISABLED: InvreqStatus

class Invreq(_message.Message):
    __slots__ = ("invreq_id", "username", "label", "amount_msat", "description", "issuer", "single_use", "status", "bolt12", "created_at", "expires_at", "active", "used")
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BOLT12_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    username: str
    label: str
    amount_msat: int
    description: str
    issuer: str
    single_use: bool
    status: InvreqStatus
    bolt12: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    active: bool
    used: bool
    def __init__(self, invreq_id: _Optional[str] = ..., username: _Optional[str] = ..., label: _Optional[str] = ..., amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., issuer: _Optional[str] = ..., single_use: _Optional[bool] = ..., status: _Optional[_Union[InvreqStatus, str]] = ..., bolt12: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., active: _Optional[bool] = ..., used: _Optional[bool] = ...) -> None: ...
