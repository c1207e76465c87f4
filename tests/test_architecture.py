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
    {"tilld.app", "tilld.front"},
    {"tilld.parts"},
    {"tilld.metrics"},
    {
        "tilld.grpc_api",
        "tilld.rest_api",
        "tilld.follower",
        "tilld.spending",
        "tilld.envoy",
        "tilld.play_money",
        "tilld.doctor",
        "tilld.importing",
        "tilld.workbench",
    },
    {
        "tilld.access",
        "tilld.invoicing",
        "tilld.collecting",
        "tilld.keyring",
        "tilld.payouts",
        "tilld.envoy_tls",
    },
    {"tilld.outcomes"},
    {
        "tilld.payout_store",
        "tilld.node_payouts",
        "tilld.sending_store",
        "tilld.node_collecting",
        "tilld.key_store",
    },
    {"tilld.store", "tilld.node", "tilld.hub", "tilld.limits", "tilld.turns"},
    {"tilld.transactions", "tilld.node_records"},
    {"tilld.node_errors"},
    {"tilld.pipeline"},
    {
        "tilld.database",
        "tilld.statements",
        "tilld.payout_statements",
        "tilld.group_commit",
        "tilld.child",
        "tilld.progress",
        "tilld.persist",
        "tilld.certificates",
        "tilld.unix_socket",
        "tilld.database_files",
        "tilld.open_files",
        "tilld.listening",
        "tilld.collector",
    },
    {"tilld.tables", "tilld.payout_tables"},
    {"tilld.key", "tilld.totals", "tilld.watch_token", "tilld.invreq", "tilld.sending"},
    {"tilld.invoice", "tilld.node_info", "tilld.abilities"},
    {"tilld.order"},
    {
        "tilld.ids",
        "tilld.strict_json",
        "tilld.payment_request",
        "tilld.bolt12",
        "tilld.amounts",
        "tilld.pacing",
        "tilld.recent",
        "tilld.rows",
        "tilld.rest_v1",
    },
    {"tilld.tracing", "tilld.commands"},
    {"tilld.config", "tilld.logs", "tilld.observer", "tilld.times"},
    {"tilld.output"},
    {"tilld.errors"},
]

OUTSIDE = {
    "grpc": {"tilld.grpc_api", "tilld.rest_api", "tilld.rest_v1", "tilld.app"},
    "grpc_health": {"tilld.grpc_api", "tilld.app"},
    "till": {"tilld.grpc_api", "tilld.rest_api"},
    "till_cli": {"tilld.cli"},
    "peewee": {
        "tilld.database",
        "tilld.rows",
        "tilld.tables",
        "tilld.statements",
        "tilld.transactions",
        "tilld.store",
        "tilld.payout_tables",
        "tilld.payout_statements",
        "tilld.payout_store",
        "tilld.sending_store",
        "tilld.key_store",
        "tilld.migrations",
    },
    "playhouse": {"tilld.database", "tilld.migrations"},
    "pyln": {"tilld.pipeline", "tilld.node_errors", "tilld.node_collecting", "tilld.play_money"},
    "envoy": {"tilld.envoy"},
    "cryptography": {"tilld.certificates"},
    "pydantic_settings": {"tilld.config"},
    "typer": {"tilld.cli"},
    "rich": {"tilld.progress"},
    "bolt11": {"tilld.simulator"},
    "prometheus_client": {"tilld.metrics"},
    "opentelemetry": {"tilld.tracing"},
    "itsdangerous": {"tilld.watch_token"},
}


def imports(module):
    """What a module imports, each as a dotted name."""
    for node in ast.walk(ast.parse((MODULES | CLIENT_MODULES)[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name):
    """The part of Till that a dotted name belongs to: tilld.store, tilld.grpc_api, …"""
    return ".".join(name.split(".")[:2])


def layer(name):
    return next(number for number, parts in enumerate(LAYERS) if part(name) in parts)


ORDINARY = sorted(
    module for module in MODULES if part(module) not in {"tilld", "tilld.simulator", "tilld.migrations"}
)


@pytest.mark.parametrize("module", ORDINARY)
def test_a_module_uses_only_what_stands_below_it(module):
    for name in imports(module):
        if name.startswith("tilld.") and part(name) != part(module):
            if part(name) == "tilld.simulator":
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


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) == "tilld.simulator"))
def test_the_simulated_node_is_another_program(module):
    """It stands in for lightningd, and knows nothing of Till."""
    assert {part(name) for name in imports(module) if name.startswith("tilld")} <= {"tilld.simulator"}


@pytest.mark.parametrize("module", sorted(CLIENT_MODULES))
def test_the_client_is_another_program(module):
    """It knows of Till what is in the protos; and of its own command nothing, nor what that needs."""
    libraries = {name.partition(".")[0] for name in imports(module)}

    assert "tilld" not in libraries
    if part(module).partition(".")[0] == "till":
        assert libraries.isdisjoint({"till_cli", "typer", "segno", "rich"})
