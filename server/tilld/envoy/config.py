"""Envoy's configuration: envoy.yaml, with the addresses, certificates and descriptors filled in."""

import base64
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from till_rest.v1 import (
    event_service_pb2,
    health_service_pb2,
    invoice_service_pb2,
    invreq_service_pb2,
    webhook_service_pb2,
)
from tilld.config import Address
from tilld.envoy import tls
from tilld.runtime import open_files
from tilld.runtime.certificates import Certificates

NO_CERTIFICATES = Certificates()


def configuration(
    rest: Sequence[Address],
    upstream: Sequence[Address | Path],
    admin: str,
    certificates: Certificates = NO_CERTIFICATES,
    cors_origins: Sequence[str] = (),
) -> dict[str, Any]:
    """Return Envoy's configuration: envoy.yaml with these settings and the proto descriptors.

    `upstream` has the gRPC address or socket of each tilld. Paths of sockets, and `admin`, are relative to
    Envoy's working directory.
    """
    config: dict[str, Any] = yaml.safe_load(resources.files("tilld.envoy").joinpath("envoy.yaml").read_text())
    config["admin"]["address"]["pipe"]["path"] = admin
    for monitor in config["overload_manager"]["resource_monitors"]:
        if "max_active_downstream_connections" in monitor["typed_config"]:
            monitor["typed_config"]["max_active_downstream_connections"] = open_files.connections()
    [listener] = config["static_resources"]["listeners"]
    listener["address"], *more = map(_socket_address, rest)
    listener["additional_addresses"] = [{"address": each} for each in more]
    [chain] = listener["filter_chains"]
    if certificates.chain:
        chain["transport_socket"] = tls.listening(certificates)
    http = chain["filters"][0]["typed_config"]
    [host] = http["route_config"]["virtual_hosts"]
    for reply in http["local_reply_config"]["mappers"]:
        name = Path(reply["body"]["filename"]).name
        reply["body"]["filename"] = str(resources.files("tilld.rest_api") / name)
    cors = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    cors["allow_origin_string_match"] = [{"exact": origin} for origin in cors_origins]
    filters = {each["name"].rpartition(".")[2]: each["typed_config"] for each in http["http_filters"]}
    for name in ("request", "response"):
        filters[name]["default_source_code"]["filename"] = str(resources.files("tilld.envoy") / f"{name}.lua")
    transcoder = filters["grpc_json_transcoder"]
    del transcoder["proto_descriptor"]
    transcoder["proto_descriptor_bin"] = base64.b64encode(_descriptors().SerializeToString()).decode()
    for cluster in config["static_resources"]["clusters"]:
        [endpoints] = cluster["load_assignment"]["endpoints"]
        endpoints["lb_endpoints"] = [{"endpoint": {"address": _upstream_address(each)}} for each in upstream]
        if any(isinstance(each, Path) for each in upstream):
            cluster["type"] = "STATIC"  # STRICT_DNS accepts no sockets
        if certificates.upstream_ca:
            cluster["transport_socket"] = tls.calling(certificates)
    return config


def _upstream_address(upstream: Address | Path) -> dict[str, Any]:
    if isinstance(upstream, Path):
        return {"pipe": {"path": str(upstream)}}
    return _socket_address(upstream.dialled)


def _socket_address(address: Address) -> dict[str, Any]:
    # On ::, Envoy accepts IPv4 only with this option.
    dual = {"ipv4_compat": True} if address.host == "::" else {}
    return {"socket_address": {"address": address.host, "port_value": address.port, **dual}}


def _descriptors() -> FileDescriptorSet:
    """Return the proto files of the REST services and all their imports."""
    descriptors = FileDescriptorSet()
    seen = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in seen:
            seen.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            file.CopyToProto(descriptors.file.add())

    add(event_service_pb2.DESCRIPTOR)
    add(health_service_pb2.DESCRIPTOR)
    add(invoice_service_pb2.DESCRIPTOR)
    add(invreq_service_pb2.DESCRIPTOR)
    add(webhook_service_pb2.DESCRIPTOR)
    return descriptors
