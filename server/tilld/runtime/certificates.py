"""The certificates that Till shows and trusts: read from their files, and again when these have changed."""

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

# Before expiry; each is logged immediately, and then once a day until the next.
WARN_BEFORE = (timedelta(days=14), timedelta(days=3), timedelta(0))


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

    def __init__(self, clock: Clock = utc_now, intervals: Intervals = USUAL, **paths: Path | None) -> None:
        """Take paths by the names of Certificates."""
        self._clock = clock
        self._intervals = intervals
        self._reader: threading.Thread | None = None
        self._paths = {name: path for name, path in paths.items() if path}
        if ("chain" in self._paths) != ("key" in self._paths):
            raise OperatorError("--tls-cert and --tls-key belong together; give both")
        if "client_ca" in self._paths and "chain" not in self._paths:
            raise OperatorError("--tls-client-ca needs --tls-cert and --tls-key; give all three")
        self.newest = self._read_in_time()
        # When the certificate that is shown expires; None: none is shown.
        self.expires = self._check(self.newest)
        # The number of steps of WARN_BEFORE that were passed, and when that was logged.
        self._warned: tuple[int, datetime] | None = None
        # Why the files can't be used, and how often that was seen.
        self._complaint, self._times = "", 0

    async def follow(self, use: Callable[[Certificates], None]) -> None:
        """Look at the files for ever."""
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
        """Call `use` with what is new in the files, if it makes sense.

        What can't be used, also since `use` raises OperatorError, is told in the log, and the old stays.
        """
        try:
            # The contents, since a time stamp may stay the same; on a thread, since a disk may hang.
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
            # Files are replaced one after the other: only what stays so is wrong.
            if self._times == 2:
                log.error("certificates not reloaded, the old ones stay", reason=self._complaint)

    def _read_in_time(self) -> Certificates:
        """Read all files.

        Raises OperatorError, also where a disk hangs.
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
            # A daemon, for which the end of the process does not wait.
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
            # Not to wait for whoever may write into a pipe.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OperatorError(f"{path} is not a regular file; check {_flag(name)}")
                # Some editors begin a text with a byte order mark.
                content = file.read().removeprefix(codecs.BOM_UTF8)
        except OSError as error:
            raise OperatorError(f"{path} cannot be read ({error.strerror}); check {_flag(name)}") from None
        # ASN.1 begins with a SEQUENCE; the text before a PEM block may begin with anything.
        if content.startswith(b"\x30") and b"-----BEGIN" not in content:
            raise OperatorError(
                f"{path} is binary (DER or PKCS #12), not PEM; convert it with openssl, and give the result "
                f"with {_flag(name)}"
            )
        return content

    def _check(self, found: Certificates) -> datetime | None:
        """Make sure that they can be used; returns when the one that is shown expires."""
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
        # Envoy takes no other, and many clients do not take P-521.
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
        """The first certificate of a file, all of which must be readable."""
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
