"""The metadata of the Python client's package."""

import re
import tomllib
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "clients/python"
PROJECT = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]


def version(pattern: str, text: str) -> tuple[int, ...]:
    match = re.search(pattern + r"(\d+)\.(\d+)\.(\d+)", text)
    assert match
    return tuple(map(int, match.groups()))


def test_dependencies_satisfy_the_generated_code() -> None:
    """With an older grpcio or protobuf, importing the client fails."""
    dependencies = "\n".join(PROJECT["dependencies"])
    for code in (CLIENT / "till/v1").glob("*_pb2.py"):
        needed = version("Protobuf Python Version: ", code.read_text())
        assert version("protobuf>=", dependencies) >= needed, code
    for code in (CLIENT / "till/v1").glob("*_pb2_grpc.py"):
        needed = version("GRPC_GENERATED_VERSION = '", code.read_text())
        assert version("grpcio>=", dependencies) >= needed, code
