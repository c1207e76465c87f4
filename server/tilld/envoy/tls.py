"""TLS for Envoy: the parts of its configuration, and the files of secrets that Envoy watches."""

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tilld.runtime.certificates import Certificates

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."

PAIR, CLIENT_CA, UPSTREAM_CA = "tls-pair", "tls-client-ca", "tls-upstream-ca"


def listening(certificates: Certificates) -> dict[str, Any]:
    """Return the transport socket of a listener."""
    common = _context(["h2", "http/1.1"]) | _showing_the_pair()
    if certificates.client_ca:
        common["validation_context_sds_secret_config"] = _from_file(CLIENT_CA)
    return _socket("DownstreamTlsContext", common, require_client_certificate=bool(certificates.client_ca))


def calling(certificates: Certificates) -> dict[str, Any]:
    """Return the transport socket of a cluster, which verifies upstream certificates."""
    common = _context(["h2"]) | {"validation_context_sds_secret_config": _from_file(UPSTREAM_CA)}
    if certificates.chain:
        common |= _showing_the_pair()
    return _socket("UpstreamTlsContext", common)


def write_secrets(directory: Path, certificates: Certificates, upstream_hosts: Sequence[str]) -> None:
    """Write the files of certificates for Envoy. A running Envoy loads them immediately.

    An upstream's certificate must have one of `upstream_hosts`: names or IP addresses. Raises OSError.
    """
    secrets: dict[str, Any] = {}
    if certificates.chain:
        secrets[PAIR] = {
            "tls_certificate": {
                "certificate_chain": _inline(certificates.chain),
                "private_key": _inline(certificates.key),
            }
        }
    if certificates.client_ca:
        secrets[CLIENT_CA] = {"validation_context": {"trusted_ca": _inline(certificates.client_ca)}}
    if certificates.upstream_ca:
        secrets[UPSTREAM_CA] = {
            "validation_context": {
                "trusted_ca": _inline(certificates.upstream_ca),
                "match_typed_subject_alt_names": [_subject(host) for host in upstream_hosts],
            }
        }
    for name, secret in secrets.items():
        _replace(directory / _file(name), {"resources": [{"@type": TLS + "Secret", "name": name, **secret}]})


def remove_secrets(directory: Path) -> None:
    """Remove Envoy's copies of keys and certificates."""
    for name in (PAIR, CLIENT_CA, UPSTREAM_CA):
        (directory / _file(name)).unlink(missing_ok=True)


def _context(protocols: list[str]) -> dict[str, Any]:
    versions = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    return {"tls_params": versions, "alpn_protocols": protocols}


def _showing_the_pair() -> dict[str, Any]:
    return {"tls_certificate_sds_secret_configs": [_from_file(PAIR)]}


def _socket(kind: str, common: dict[str, Any], **fields: Any) -> dict[str, Any]:
    typed_config = {"@type": TLS + kind, "common_tls_context": common, **fields}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed_config}


def _from_file(name: str) -> dict[str, Any]:
    # Envoy reloads the file when a new one is moved onto it. The path is relative to its working directory.
    file = {"path": f"./{_file(name)}"}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": file}}


def _file(name: str) -> str:
    return f"{name}.json"


def _inline(pem: bytes) -> dict[str, str]:
    return {"inline_bytes": base64.b64encode(pem).decode()}


def _subject(host: str) -> dict[str, Any]:
    try:
        return {"san_type": "IP_ADDRESS", "matcher": {"exact": str(ipaddress.ip_address(host))}}
    except ValueError:
        return {"san_type": "DNS", "matcher": {"exact": host}}


def _replace(path: Path, content: dict[str, Any]) -> None:
    """Replace a file atomically by one that only its owner can read."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    new.replace(path)
