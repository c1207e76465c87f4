from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ListEventsRequest(_message.Message):
    __slots__ = ("after", "types", "metadata_type", "limit", "wait", "all_users")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    METADATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    ALL_USERS_FIELD_NUMBER: _ClassVar[int]
    after: str
    types: str
    metadata_type: str
    limit: str
    wait: str
    all_users: str
    def __init__(self, after: _Optional[str] = ..., types: _Optional[str] = ..., metadata_type: _Optional[str] = ..., limit: _Optional[str] = ..., wait: _Optional[str] = ..., all_users: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("after", "types", "metadata_type", "all_users")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    METADATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    ALL_USERS_FIELD_NUMBER: _ClassVar[int]
    after: str
    types: str
    metadata_type: str
    all_users: str
    def __init__(self, after: _Optional[str] = ..., types: _Optional[str] = ..., metadata_type: _Optional[str] = ..., all_users: _Optional[str] = ...) -> None: ...
