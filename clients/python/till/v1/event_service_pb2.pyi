import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from till.v1 import event_pb2 as _event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogPosition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_POSITION_UNSPECIFIED: _ClassVar[LogPosition]
    LOG_POSITION_BEGINNING: _ClassVar[LogPosition]
    LOG_POSITION_NOW: _ClassVar[LogPosition]
LOG_POSITION_UNSPECIFIED: LogPosition
LOG_POSITION_BEGINNING: LogPosition
LOG_POSITION_NOW: LogPosition

class EventFilter(_message.Message):
    __slots__ = ("types", "metadata_type")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    METADATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedScalarFieldContainer[str]
    metadata_type: str
    def __init__(self, types: _Optional[_Iterable[str]] = ..., metadata_type: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("after", "cursor", "filter", "page_size", "all_users")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALL_USERS_FIELD_NUMBER: _ClassVar[int]
    after: int
    cursor: str
    filter: EventFilter
    page_size: int
    all_users: bool
    def __init__(self, after: _Optional[int] = ..., cursor: _Optional[str] = ..., filter: _Optional[_Union[EventFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., all_users: _Optional[bool] = ..., **kwargs) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_after", "next_cursor", "has_more", "log_began_at")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    LOG_BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    next_after: int
    next_cursor: str
    has_more: bool
    log_began_at: _timestamp_pb2.Timestamp
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., next_after: _Optional[int] = ..., next_cursor: _Optional[str] = ..., has_more: _Optional[bool] = ..., log_began_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("after", "cursor", "filter", "all_users")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ALL_USERS_FIELD_NUMBER: _ClassVar[int]
    after: int
    cursor: str
    filter: EventFilter
    all_users: bool
    def __init__(self, after: _Optional[int] = ..., cursor: _Optional[str] = ..., filter: _Optional[_Union[EventFilter, _Mapping]] = ..., all_users: _Optional[bool] = ..., **kwargs) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("events", "next_after", "next_cursor")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    next_after: int
    next_cursor: str
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., next_after: _Optional[int] = ..., next_cursor: _Optional[str] = ...) -> None: ...
