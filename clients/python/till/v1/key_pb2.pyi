import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_SCOPE_UNSPECIFIED: _ClassVar[KeyScope]
    KEY_SCOPE_INVOICES_CREATE: _ClassVar[KeyScope]
    KEY_SCOPE_INVOICES_READ: _ClassVar[KeyScope]
    KEY_SCOPE_INFO_READ: _ClassVar[KeyScope]
    KEY_SCOPE_PAYOUTS: _ClassVar[KeyScope]
    KEY_SCOPE_ADMIN: _ClassVar[KeyScope]
    KEY_SCOPE_INVOICES_CANCEL: _ClassVar[KeyScope]
    KEY_SCOPE_EVENTS_READ: _ClassVar[KeyScope]
    KEY_SCOPE_WEBHOOKS: _ClassVar[KeyScope]
KEY_SCOPE_UNSPECIFIED: KeyScope
KEY_SCOPE_INVOICES_CREATE: KeyScope
KEY_SCOPE_INVOICES_READ: KeyScope
KEY_SCOPE_INFO_READ: KeyScope
KEY_SCOPE_PAYOUTS: KeyScope
KEY_SCOPE_ADMIN: KeyScope
KEY_SCOPE_INVOICES_CANCEL: KeyScope
KEY_SCOPE_EVENTS_READ: KeyScope
KEY_SCOPE_WEBHOOKS: KeyScope

class Key(_message.Message):
    __slots__ = ("id", "username", "scopes", "type", "created_at", "expires_at", "revoked_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    username: str
    scopes: _containers.RepeatedScalarFieldContainer[KeyScope]
    type: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    revoked_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., username: _Optional[str] = ..., scopes: _Optional[_Iterable[_Union[KeyScope, str]]] = ..., type: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoked_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
