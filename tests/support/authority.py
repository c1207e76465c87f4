"""A certificate authority for tests."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tilld.config import Address


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    tls_cert: Path
    tls_key: Path

    @property
    def certificate(self) -> bytes:
        """The certificate in DER form, as a TLS handshake presents it."""
        return ssl.PEM_cert_to_DER_cert(self.tls_cert.read_text().split("\n\n")[0])

    def credentials(self) -> dict[str, bytes]:
        """Return the arguments that make a gRPC client present the certificate."""
        return {"private_key": self.tls_key.read_bytes(), "certificate_chain": self.tls_cert.read_bytes()}

    def flags(self) -> dict[str, Path]:
        """Return the settings of a Till that presents the certificate."""
        return {"tls_cert": self.tls_cert, "tls_key": self.tls_key}


class Authority:
    """A certificate authority of its own for each test."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes()

    def issue(self, directory: Path, *names: str, **fields: Any) -> Pair:
        """Write a new pair into a directory, replacing the old one.

        The default names are those of this machine.
        """
        directory.mkdir(exist_ok=True)
        issued = self._ca.issue_cert(*(names or ("127.0.0.1", "localhost")), **fields)
        pair = Pair(directory / "cert.pem", directory / "key.pem")
        pair.tls_cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        pair.tls_key.write_bytes(issued.private_key_pem.bytes())
        return pair

    def write(self, path: Path) -> Path:
        """Write the authority's own certificate to a file."""
        path.write_bytes(self.pem)
        return path

    def trusting(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Return a client context that trusts this authority and presents the certificate, if any."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        if pair:
            context.load_cert_chain(pair.tls_cert, pair.tls_key)
        return context


async def shown(address: Address) -> bytes:
    """Return the certificate that a server presents, in DER form."""
    curious = ssl.create_default_context()
    curious.check_hostname, curious.verify_mode = False, ssl.CERT_NONE
    # A gRPC server rejects a handshake without this protocol.
    curious.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(*address, ssl=curious)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return certificate


async def until_shown(address: Address, pair: Pair) -> None:
    """Wait until a server presents a certificate."""
    async with asyncio.timeout(10):
        while await shown(address) != pair.certificate:
            await asyncio.sleep(0.05)
