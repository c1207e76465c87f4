from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SendInvoiceRequest(_message.Message):
    __slots__ = ("raw",)
    RAW_FIELD_NUMBER: _ClassVar[int]
    raw: _httpbody_pb2.HttpBody
    def __init__(self, raw: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class CreateInvreqRequest(_message.Message):
    __slots__ = ("raw",)
    RAW_FIELD_NUMBER: _ClassVar[int]
    raw: _httpbody_pb2.HttpBody
    def __init__(self, raw: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class GetInvreqRequest(_message.Message):
    __slots__ = ("invreq_id",)
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    def __init__(self, invreq_id: _Optional[str] = ...) -> None: ...

class ListInvreqsRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: str
    def __init__(self, after: _Optional[str] = ...) -> None: ...

class DisableInvreqRequest(_message.Message):
    __slots__ = ("invreq_id", "raw")
    INVREQ_ID_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    invreq_id: str
    raw: _httpbody_pb2.HttpBody
    def __init__(self, invreq_id: _Optional[str] = ..., raw: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...
