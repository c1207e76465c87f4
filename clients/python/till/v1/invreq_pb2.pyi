import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Invreq(_message.Message):
    __slots__ = ("invreq_id", "username", "label", "amount_msat", "description", "issuer", "single_use", "active", "used", "bolt12", "created_at", "absolute_expiry")
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    BOLT12_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    username: str
    label: str
    amount_msat: int
    description: str
    issuer: str
    single_use: bool
    active: bool
    used: bool
    bolt12: str
    created_at: _timestamp_pb2.Timestamp
    absolute_expiry: _timestamp_pb2.Timestamp
    def __init__(self, invreq_id: _Optional[str] = ..., username: _Optional[str] = ..., label: _Optional[str] = ..., amount_msat: _Optional[int] = ..., description: _Optional[str] = ..., issuer: _Optional[str] = ..., single_use: _Optional[bool] = ..., active: _Optional[bool] = ..., used: _Optional[bool] = ..., bolt12: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., absolute_expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
