"""Server reflection, as v1 and v1alpha, which have the same wire format."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

ALPHA = reflection.SERVICE_NAME
V1 = ALPHA.replace("v1alpha", "v1")


class Symbols:
    """The default descriptor pool, plus reflection v1, which grpcio-reflection lacks.

    Finds methods by name too, since upb's pool finds only services.
    """

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()
        # A separate pool, since a library that adds v1 later would collide with it.
        self._v1: Any = DescriptorPool()
        self._v1.Add(_v1())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileByName(self, name: str) -> Any:
        """Return a file. Raises KeyError."""
        return self._first(lambda pool: pool.FindFileByName(name))

    def FindFileContainingSymbol(self, symbol: str) -> Any:
        """Return the file of a symbol. Raises KeyError."""
        service, _, method = symbol.rpartition(".")
        with suppress(KeyError):
            return self._first(lambda pool: pool.FindFileContainingSymbol(symbol))
        found = self._first(lambda pool: pool.FindServiceByName(service).FindMethodByName(method))
        return found.containing_service.file

    def _first(self, find: Callable[[Any], Any]) -> Any:
        with suppress(KeyError):
            return find(self._pool)
        return find(self._v1)


def add_to(server: Any, services: Iterable[str]) -> None:
    """Register reflection of services, and of itself."""
    servicer: Any = reflection.aio.ReflectionServicer([*services, ALPHA, V1], pool=Symbols())
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (ALPHA, V1):
        server.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})


def _v1() -> FileDescriptorProto:
    alpha, v1 = FileDescriptorProto(), FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    return text_format.Parse(text_format.MessageToString(alpha).replace("v1alpha", "v1"), v1)
