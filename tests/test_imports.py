"""Test modules are independent of each other: shared code is in tests/support."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports, and the names that it imports from them."""
    nodes = list(ast.walk(ast.parse(file.read_bytes())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    origins = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return plain | {f"{node.module}.{alias.name}" for node in origins for alias in node.names}


def test_nothing_imports_a_test_or_a_conftest() -> None:
    found = [
        f"{file.relative_to(TESTS)} imports {name}"
        for file in sorted(TESTS.rglob("*.py"))
        for name in sorted(imported(file))
        if name.startswith("tests.")
        and any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]
    assert not found, "\n".join(found)
