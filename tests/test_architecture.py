"""Arrows point one way: what ARCHITECTURE.md draws, and who may know which library."""

import ast
from pathlib import Path

import pytest

SERVER = Path(__file__).parent.parent / "server"
MODULES = {
    ".".join(path.relative_to(SERVER).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SERVER.rglob("tilld/**/*.py")
}

CLIENT = SERVER.parent / "clients/python"
CLIENT_MODULES = {
    ".".join(path.relative_to(CLIENT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("till", "till_cli")
    for path in CLIENT.glob(f"{package}/*.py")
}

# A layer may use what stands below it, and nothing above or beside it.
LAYERS = [
    {"tilld.cli"},
    {"tilld.app", "tilld.envoy.standalone"},
    {"tilld.runtime.supervisor"},
    {"tilld.observability.metrics"},
    {
        "tilld.grpc_api",
        "tilld.rest_api",
        "tilld.invoices.follower",
        "tilld.payouts.follower",
        "tilld.envoy.process",
        "tilld.lightningd.play_money",
        "tilld.invoices.audit",
        "tilld.invoices.importer",
        "tilld.cli.resources",
    },
    {
        "tilld.auth.access",
        "tilld.invoices.service",
        "tilld.sent_invoices.service",
        "tilld.auth.service",
        "tilld.payouts.service",
        "tilld.envoy.tls",
    },
    {"tilld.sent_invoices.recovery"},
    {
        "tilld.payouts.repository",
        "tilld.payouts.lightningd",
        "tilld.sent_invoices.repository",
        "tilld.sent_invoices.lightningd",
        "tilld.auth.repository",
    },
    {
        "tilld.invoices.repository",
        "tilld.lightningd.node",
        "tilld.invoices.hub",
        "tilld.auth.limits",
        "tilld.auth.turns",
    },
    {"tilld.invoices.transactions", "tilld.invoices.lightningd"},
    {"tilld.lightningd.errors"},
    {"tilld.lightningd.rpc"},
    {
        "tilld.storage.database",
        "tilld.invoices.sql",
        "tilld.payouts.sql",
        "tilld.storage.group_commit",
        "tilld.runtime.child_process",
        "tilld.runtime.progress",
        "tilld.runtime.retry",
        "tilld.runtime.certificates",
        "tilld.runtime.unix_socket",
        "tilld.storage.database_files",
        "tilld.runtime.open_files",
        "tilld.runtime.listening",
        "tilld.runtime.gc_pauses",
    },
    {"tilld.storage.tables", "tilld.storage.payout_tables"},
    {
        "tilld.auth.key",
        "tilld.invoices.totals",
        "tilld.auth.watch_token",
        "tilld.payouts.invreq",
        "tilld.sent_invoices.attempt",
    },
    {"tilld.invoices.invoice", "tilld.lightningd.info", "tilld.lightningd.abilities"},
    {"tilld.invoices.terms"},
    {
        "tilld.formats.ids",
        "tilld.formats.strict_json",
        "tilld.formats.bolt11",
        "tilld.formats.bolt12",
        "tilld.formats.amounts",
        "tilld.runtime.token_bucket",
        "tilld.runtime.ttl_cache",
        "till_rest.v1",
    },
    {"tilld.observability.tracing"},
    {"tilld.config", "tilld.runtime.logs", "tilld.runtime.observer", "tilld.formats.times"},
    {"tilld.runtime.output"},
    {"tilld.errors"},
]

OUTSIDE = {
    "grpc": {"tilld.grpc_api", "tilld.rest_api", "till_rest.v1", "tilld.app"},
    "grpc_health": {"tilld.grpc_api", "tilld.app"},
    "till": {"tilld.grpc_api", "tilld.rest_api"},
    "till_cli": {"tilld.cli"},
    "peewee": {
        "tilld.storage.database",
        "tilld.storage.tables",
        "tilld.invoices.sql",
        "tilld.invoices.transactions",
        "tilld.invoices.repository",
        "tilld.storage.payout_tables",
        "tilld.payouts.sql",
        "tilld.payouts.repository",
        "tilld.sent_invoices.repository",
        "tilld.auth.repository",
        "tilld.migrations",
    },
    "playhouse": {"tilld.storage.database", "tilld.migrations"},
    "pyln": {
        "tilld.lightningd.rpc",
        "tilld.lightningd.errors",
        "tilld.sent_invoices.lightningd",
        "tilld.lightningd.play_money",
    },
    "envoy": {"tilld.envoy.process"},
    "cryptography": {"tilld.runtime.certificates"},
    "pydantic_settings": {"tilld.config"},
    "typer": {"tilld.cli"},
    "rich": {"tilld.runtime.progress"},
    "bolt11": {"lightningd_simulator"},
    "prometheus_client": {"tilld.observability.metrics"},
    "opentelemetry": {"tilld.observability.tracing"},
    "itsdangerous": {"tilld.auth.watch_token"},
}


def imports(module):
    """What a module imports, each as a dotted name."""
    for node in ast.walk(ast.parse((MODULES | CLIENT_MODULES)[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name):
    """The part of Till that a dotted name belongs to: tilld.invoices.repository, tilld.grpc_api, …"""
    return ".".join(name.split(".")[:2])


def layer(name):
    return next(number for number, parts in enumerate(LAYERS) if part(name) in parts)


ORDINARY = sorted(
    module for module in MODULES if part(module) not in {"tilld", "lightningd_simulator", "tilld.migrations"}
)


@pytest.mark.parametrize("module", ORDINARY)
def test_a_module_uses_only_what_stands_below_it(module):
    for name in imports(module):
        if name.startswith("tilld.") and part(name) != part(module):
            if part(name) == "lightningd_simulator":
                assert part(module) == "tilld.cli"
            else:
                assert layer(name) > layer(module), f"{module} must not import {name}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_library_is_known_only_where_it_belongs(module):
    for name in imports(module):
        library = name.partition(".")[0]
        if library in OUTSIDE:
            assert part(module) in OUTSIDE[library], f"{module} must not import {name}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_config_reads_the_environment(module):
    source = MODULES[module].read_text()

    assert module == "tilld.config" or not ("os.environ" in source or "getenv" in source)


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) == "lightningd_simulator"))
def test_the_simulated_node_is_another_program(module):
    """It stands in for lightningd, and knows nothing of Till."""
    assert {part(name) for name in imports(module) if name.startswith("tilld")} <= {"lightningd_simulator"}


@pytest.mark.parametrize("module", sorted(CLIENT_MODULES))
def test_the_client_is_another_program(module):
    """It knows of Till what is in the protos; and of its own command nothing, nor what that needs."""
    libraries = {name.partition(".")[0] for name in imports(module)}

    assert "tilld" not in libraries
    if part(module).partition(".")[0] == "till":
        assert libraries.isdisjoint({"till_cli", "typer", "segno", "rich"})
