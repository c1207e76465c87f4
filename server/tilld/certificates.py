"""The certificates that Till shows and trusts: read from their files, and again when these have changed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tilld.errors import OperatorError

log = structlog.get_logger()

LOOK_SECONDS = 1.0


class Certificates(NamedTuple):
    """What the files hold, as PEM; empty for what was not given."""

    # The certificate itself first, then those that lead to its root.
    chain: bytes = b""
    key: bytes = b""
    # Who must have signed the certificates of clients.
    client_ca: bytes = b""
    # Who must have signed those of the tilld processes behind Envoy.
    upstream_ca: bytes = b""


class CertificateFiles:
    """The files by their settings, and in `newest` what they held when they last made sense.

    Raises OperatorError where they don't.
    """

    def __init__(self, **paths: Path | None) -> None:
        """Take paths by the names of Certificates."""
        self._paths = {name: path for name, path in paths.items() if path}
        if ("chain" in self._paths) != ("key" in self._paths):
            raise OperatorError("--tls-cert and --tls-key belong together: give both")
        if "client_ca" in self._paths and "chain" not in self._paths:
            raise OperatorError("--tls-client-ca needs --tls-cert and --tls-key: give them as well")
        self.newest = self._read()
        self._check(self.newest)
        # Why the files can't be used, and how often that was seen.
        self._complaint, self._times = "", 0

    async def follow(self, use: Callable[[Certificates], None]) -> None:
        """Look at the files for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(use)

    async def look(self, use: Callable[[Certificates], None]) -> None:
        """Call `use` with what is new in the files, if it makes sense.

        What can't be used, also since `use` raises OperatorError, is told in the log, and the old stays.
        """
        try:
            # The contents, since a time stamp may stay the same; on a thread, since a disk may hang.
            found = await asyncio.to_thread(self._read)
            if found != self.newest:
                expires = self._check(found)
                use(found)
                self.newest = found
                log.info("certificates reloaded", expires=expires and expires.isoformat())
            self._complaint, self._times = "", 0
        except OperatorError as error:
            self._times = self._times + 1 if str(error) == self._complaint else 1
            self._complaint = str(error)
            # Files are replaced one after the other: only what stays so is wrong.
            if self._times == 2:
                log.error("certificates not reloaded, the old ones stay", reason=self._complaint)

    def _read(self) -> Certificates:
        found = {}
        for name, path in self._paths.items():
            try:
                found[name] = path.read_bytes()
            except OSError as error:
                raise OperatorError(
                    f"{path} cannot be read ({error.strerror}): check {_flag(name)}"
                ) from None
        return Certificates(**found)

    def _check(self, found: Certificates) -> datetime | None:
        """Make sure that they can be used; returns when the one that is shown expires."""
        for name in ("client_ca", "upstream_ca"):
            if name in self._paths:
                self._certificate(name, found)
        return self._check_pair(found) if "chain" in self._paths else None

    def _check_pair(self, found: Certificates) -> datetime:
        certificate = self._certificate("chain", found)
        expires = certificate.not_valid_after_utc
        if expires < datetime.now(UTC):
            raise OperatorError(
                f"the certificate in {self._paths['chain']} has expired on {expires:%Y-%m-%d}: "
                "renew it, or give another with --tls-cert"
            )
        try:
            key = load_pem_private_key(found.key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise OperatorError(
                f"{self._paths['key']} has no private key in PEM without a passphrase: check --tls-key"
            ) from None
        # Envoy takes no other, and many clients do not take P-521.
        if not (
            (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048)
            or (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in {"secp256r1", "secp384r1"})
        ):
            raise OperatorError(
                f"the key in {self._paths['key']} is of a kind that is not served: "
                "make one with RSA of 2048 bits or more, or with the curve P-256 or P-384"
            )
        if key.public_key() != certificate.public_key():
            raise OperatorError(
                f"the key in {self._paths['key']} is not that of the first certificate in "
                f"{self._paths['chain']}: give a pair with --tls-cert and --tls-key"
            )
        return expires

    def _certificate(self, name: str, found: Certificates) -> x509.Certificate:
        """The first certificate of a file, all of which must be readable."""
        try:
            first, *_ = x509.load_pem_x509_certificates(getattr(found, name))
            first.public_key()
        except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
            raise OperatorError(
                f"{self._paths[name]} has no certificate in PEM that can be read: check {_flag(name)}"
            ) from None
        return first


def _flag(name: str) -> str:
    return {
        "chain": "--tls-cert",
        "key": "--tls-key",
        "client_ca": "--tls-client-ca",
        "upstream_ca": "--upstream-ca",
    }[name]
