"""Checks that not anyone may call a Till on a public address."""

import structlog

from tilld.auth.repository import KeyStore
from tilld.config import Config
from tilld.config.advice import shell_command
from tilld.errors import OperatorError

log = structlog.get_logger()


async def check_who_may_call(config: Config, keys: KeyStore) -> None:
    """Check that a Till on a public address has keys, or may be called by anyone. Raises OperatorError."""
    addresses = [config.grpc] if config.no_rest else [config.grpc, config.rest]
    public = [address for address in addresses if not address.is_loopback]
    if not public:
        return
    if not await keys.is_empty():
        if not config.tls_cert:
            log.warning(
                "keys travel in the clear: use --tls-cert and --tls-key, or a proxy that terminates TLS",
                address=str(public[0]),
            )
    elif not config.allow_anonymous:
        make = shell_command("key", "create", "--username", "NAME")
        raise OperatorError(
            f"{public[0]} is not on loopback, and without keys anyone could call; allow that "
            f"with --allow-anonymous, or create a key: {make}"
        )
