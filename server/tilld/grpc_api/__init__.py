"""The typed gRPC API and its server."""

from typing import Any

import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
