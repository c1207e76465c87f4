"""Certificates that Till presents and trusts, reloaded when their files change."""

import asyncio
import codecs
import os
import stat
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tilld.config import USUAL, Intervals
from tilld.errors import OperatorError
from tilld.formats.times import Clock, utc_now

log = structlog.get_logger()

# Steps before expiry. Each is logged immediately, and then once a day until the next step.
WARN_BEFORE = (timedelta(days=14), timedelta(days=3), timedelta(0))


class Certificates(NamedTuple):
    """Contents of the files, as PEM; empty for files that are not configured."""

    # The server's certificate first, then its issuers up to the root.
    chain: bytes = b""
    key: bytes = b""
    # The CAs of clients' certificates.
    client_ca: bytes = b""
    # The CAs of the certificates of the tilld processes behind Envoy.
    upstream_ca: bytes = b""


class CertificateFiles:
    """The certificate files of the settings; `newest` has their last valid contents.

    Raises OperatorError if the files are invalid at the start.
    """

    def __init__(self, clock: Clock = utc_now, intervals: Intervals = USUAL, **paths: Path | None) -> None:
        """Read the files; `paths` have the names of the fields of Certificates."""
        self._clock = clock
        self._intervals = intervals
        self._reader: threading.Thread | None = None
        self._paths = {name: path for name, path in paths.items() if path}
        if ("chain" in self._paths) != ("key" in self._paths):
            raise OperatorError("--tls-cert and --tls-key belong together; give both")
        if "client_ca" in self._paths and "chain" not in self._paths:
            raise OperatorError("--tls-client-ca needs --tls-cert and --tls-key; give all three")
        self.newest = self._read_in_time()
        # Expiry of the server's certificate; None without one.
        self.expires = self._check(self.newest)
        # The number of passed steps of WARN_BEFORE, and when it was logged.
        self._warned: tuple[int, datetime] | None = None
        # Why the files are invalid, and how often in a row they were.
        self._complaint, self._times = "", 0

    async def follow(self, use: Callable[[Certificates], None]) -> None:
        """Watch the files until cancelled."""
        while True:
            self.warn()
            await asyncio.sleep(self._intervals.certificates_seconds)
            await self.look(use)

    def warn(self) -> None:
        """Log that the certificate expires soon or has expired: at each step, and once a day."""
        if self.expires is None:
            return
        now = self._clock()
        passed = sum(now >= self.expires - before for before in WARN_BEFORE)
        if not passed:
            return
        if self._warned and passed == self._warned[0] and now < self._warned[1] + timedelta(days=1):
            return
        self._warned = passed, now
        expires, path = self.expires.isoformat(), str(self._paths["chain"])
        if now < self.expires:
            left = (self.expires - now).days
            log.warning("the TLS certificate expires soon: renew it", file=path, expires=expires, days=left)
        else:
            log.error("the TLS certificate has expired: clients cannot connect", file=path, expires=expires)

    async def look(self, use: Callable[[Certificates], None]) -> None:
        """Call `use` with the contents of changed files, if they are valid.

        If they are invalid, or `use` raises OperatorError, log an error and keep the old certificates.
        """
        try:
            # Compare contents, since time stamps may not change. Use a thread, since a disk may hang.
            found = await asyncio.to_thread(self._read_in_time)
            if found != self.newest:
                expires = self._check(found)
                use(found)
                self.newest, self.expires, self._warned = found, expires, None
                log.info("certificates reloaded", expires=expires and expires.isoformat())
            self._complaint, self._times = "", 0
        except OperatorError as error:
            self._times = self._times + 1 if str(error) == self._complaint else 1
            self._complaint = str(error)
            # Files are replaced one by one, so an error counts only when it persists.
            if self._times == 2:
                log.error("certificates not reloaded; the old ones stay in use", reason=self._complaint)

    def _read_in_time(self) -> Certificates:
        """Read all files.

        Raises OperatorError if a file is unreadable, or the disk hangs.
        """
        found: list[Certificates | OperatorError] = []

        def work() -> None:
            try:
                found.append(
                    Certificates(**{name: self._read(name, path) for name, path in self._paths.items()})
                )
            except OperatorError as error:
                found.append(error)

        if self._reader is None:
            # A daemon thread does not delay the exit of the process.
            self._reader = threading.Thread(target=work, name="certificates", daemon=True)
            self._reader.start()
            self._reader.join(self._intervals.read_seconds)
        if self._reader.is_alive():
            files = " or ".join(map(str, self._paths.values()))
            raise OperatorError(
                f"{files} cannot be read within {self._intervals.read_seconds:g} s; check the disk"
            )
        self._reader = None
        if not found:
            raise OperatorError("the disk did not answer while the certificates were read; retrying")
        if isinstance(found[0], OperatorError):
            raise found[0]
        return found[0]

    def _read(self, name: str, path: Path) -> bytes:
        try:
            # O_NONBLOCK: opening a pipe must not wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OperatorError(f"{path} is not a regular file; check {_flag(name)}")
                # Some editors write a byte order mark.
                content = file.read().removeprefix(codecs.BOM_UTF8)
        except OSError as error:
            raise OperatorError(f"{path} cannot be read ({error.strerror}); check {_flag(name)}") from None
        # ASN.1 starts with a SEQUENCE (0x30), but so may the text before a PEM block.
        if content.startswith(b"\x30") and b"-----BEGIN" not in content:
            raise OperatorError(
                f"{path} is binary (DER or PKCS #12), not PEM; convert it with openssl, and give the result "
                f"with {_flag(name)}"
            )
        return content

    def _check(self, found: Certificates) -> datetime | None:
        """Check the contents. Return the expiry of the server's certificate, or None without one."""
        for name in ("client_ca", "upstream_ca"):
            if name in self._paths:
                self._certificate(name, found)
        return self._check_pair(found) if "chain" in self._paths else None

    def _check_pair(self, found: Certificates) -> datetime:
        certificate = self._certificate("chain", found)
        expires = certificate.not_valid_after_utc
        begins = certificate.not_valid_before_utc
        if begins > self._clock():
            raise OperatorError(
                f"the certificate in {self._paths['chain']} is not valid before {begins:%Y-%m-%d %H:%M} UTC; "
                "check the clock of this machine, or give another with --tls-cert"
            )
        if expires < self._clock():
            raise OperatorError(
                f"the certificate in {self._paths['chain']} expired on {expires:%Y-%m-%d}; "
                "renew it, or give another with --tls-cert"
            )
        try:
            key = load_pem_private_key(found.key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise OperatorError(
                f"{self._paths['key']} has no private key in PEM without a passphrase; check --tls-key"
            ) from None
        # Envoy supports only these and P-521, which many clients do not support.
        if not (
            (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048)
            or (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in {"secp256r1", "secp384r1"})
        ):
            raise OperatorError(
                f"the key in {self._paths['key']} has an unsupported type; "
                "use RSA with at least 2048 bits, or the curve P-256 or P-384"
            )
        if key.public_key() != certificate.public_key():
            raise OperatorError(
                f"the key in {self._paths['key']} does not belong to the first certificate in "
                f"{self._paths['chain']}; give a pair with --tls-cert and --tls-key"
            )
        return expires

    def _certificate(self, name: str, found: Certificates) -> x509.Certificate:
        """Return the first certificate of a file. All of them must be readable."""
        try:
            first, *_ = x509.load_pem_x509_certificates(getattr(found, name))
            first.public_key()
        except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
            raise OperatorError(
                f"{self._paths[name]} has no readable certificate in PEM; check {_flag(name)}"
            ) from None
        return first


def _flag(name: str) -> str:
    return {
        "chain": "--tls-cert",
        "key": "--tls-key",
        "client_ca": "--tls-client-ca",
        "upstream_ca": "--upstream-ca",
    }[name]
