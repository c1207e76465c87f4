"""The typed gRPC API, and the server that carries it."""

from typing import Any

import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
