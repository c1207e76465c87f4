"""Tests change Till's behaviour through arguments, not by patching its modules and classes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

OURS = ("lightningd_simulator", "till", "till_cli", "till_rest", "tilld")
TESTS = Path(__file__).parent


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in OURS


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the names that refer to our modules and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            yield from (each.asname or each.name for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                each.asname or each.name.partition(".")[0] for each in node.names if is_ours(each.name)
            )


def patched(source: str) -> list[int]:
    """Return the lines that patch our code: by name, or through an imported module or class."""
    tree = ast.parse(source)
    names = set(imported(tree))
    found = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and call.args:
            target = call.args[0]
            does = ast.unparse(call.func).rpartition(".")[2]
            is_named = isinstance(target, ast.Constant) and is_ours(str(target.value))
            is_owner = isinstance(target, ast.Name) and target.id in names
            if does in ("setattr", "delattr", "patch", "object") and (is_named or is_owner):
                found.append(call.lineno)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "monkeypatch.setattr('tilld.auth.key.SHOP', 1)",
        "from tilld.auth import key\nmonkeypatch.setattr(key, 'SHOP', 1)",
        "from tilld.auth.key import Key\nsetattr(Key, 'new', 1)",
        "import tilld\nwith patch.object(tilld, 'cli'): pass",
        "with mock.patch('lightningd_simulator.node.Node'): pass",
    ],
)
def test_a_patch_is_found(source: str) -> None:
    assert patched(source)


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_our_modules_and_classes_are_not_patched(file: Path) -> None:
    assert patched(file.read_text()) == []
