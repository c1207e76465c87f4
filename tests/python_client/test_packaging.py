"""What the package of the Python client says of itself."""

import re
import tomllib
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "clients/python"
PROJECT = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]


def version(pattern: str, text: str) -> tuple[int, ...]:
    match = re.search(pattern + r"(\d+)\.(\d+)\.(\d+)", text)
    assert match
    return tuple(map(int, match.groups()))


def test_it_asks_for_what_the_generated_code_needs() -> None:
    """An older grpcio or protobuf would be refused when the client is imported."""
    dependencies = "\n".join(PROJECT["dependencies"])
    for code in (CLIENT / "till/v1").glob("*_pb2.py"):
        needed = version("Protobuf Python Version: ", code.read_text())
        assert version("protobuf>=", dependencies) >= needed, code
    for code in (CLIENT / "till/v1").glob("*_pb2_grpc.py"):
        needed = version("GRPC_GENERATED_VERSION = '", code.read_text())
        assert version("grpcio>=", dependencies) >= needed, code
