"""Serves till.v1.KeyService."""

from till.v1 import key_service_pb2 as pb
from till.v1 import key_service_pb2_grpc
from tilld.auth.access import caller
from tilld.auth.service import Keyring
from tilld.grpc_api import Context, messages


class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    """The admin API of keys."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        """Create a key."""
        key, token = await self._keyring.create(
            caller.get(),
            username=request.username,
            scopes=messages.scopes(request.scopes),
            type=request.type if request.HasField("type") else None,
            expires_at=messages.time(request.expires_at, "expires_at")
            if request.HasField("expires_at")
            else None,
        )
        return pb.CreateKeyResponse(key=messages.key(key), token=token)

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        """List keys."""
        limit = messages.page_size(request.page_size)
        keys = await self._keyring.page(request.page_token, limit)
        more = keys[-1].id if len(keys) == limit else ""
        return pb.ListKeysResponse(keys=map(messages.key, keys), next_page_token=more)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        """Revoke a key."""
        return pb.RevokeKeyResponse(key=messages.key(await self._keyring.revoke(caller.get(), request.id)))
