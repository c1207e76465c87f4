"""All error messages on one page, tests/messages.txt, for reviewers of their words.

A message says what is wrong, the field first, then what to do. Renew the page with:

    .venv/bin/python -m tests.test_messages >tests/messages.txt
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "tests/messages.txt"
# Settings and databases raise ValueError; the caller puts the flag or the variable in front.
OF_VALUES = ("config/values.py", "storage/database.py")
# Methods that raise an error with a given message: the error, and the argument's position.
BY_METHODS = {"_refuse": ("TooMany", 1), "_reject": ("TooMany", 1), "take": ("TooMany", 2)}
PARTS = {
    "AGAIN",
    "BAD_HOST",
    "BAD_URL",
    "EXTRAS",
    "FORBIDDEN",
    "FORMS",
    "MSAT",
    "NO_BOLT12",
    "NO_PAYMENTS",
    "SEQUENCE",
}


def page() -> str:
    trees = {path: ast.parse(path.read_text()) for path in sorted(ROOT.glob("server/tilld/**/*.py"))}
    errors = {"TillError", "OperatorError"}
    # A class may appear before its base.
    while added := {name for tree in trees.values() for name in subclasses(tree, errors)} - errors:
        errors |= added
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    for path, tree in trees.items():
        kinds = errors | ({"ValueError"} if str(path).endswith(OF_VALUES) else set())
        constants = dict(assigned(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in errors:
                found[node.name] |= {text for name, text in assigned(node) if name == "default"}
            elif isinstance(node, ast.Call):
                called = last_name(node.func)
                kind, position = BY_METHODS.get(called, (called, 0))
                if kind in kinds | {"TooMany"} and (said := node.args[position:]):
                    found[kind].add(template(said[0]) or constants.get(ast.unparse(said[0])))
        found["parts of them"] |= {f"{name}: {constants[name]}" for name in constants.keys() & PARTS}
    return "\n".join(
        f"{kind}\n" + "".join(f"  {text}\n" for text in sorted(filter(None, found[kind])))
        for kind in sorted(found)
        if found[kind] - {None}
    )


def subclasses(tree: ast.AST, errors: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and {last_name(base) for base in node.bases} & errors:
            yield node.name


def last_name(node: ast.AST) -> str:
    return ast.unparse(node).rpartition(".")[2]


def assigned(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield the names of a module or a class that have a text, each with its text."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and (text := template(node.value)):
            yield ast.unparse(node.targets[0]), text


def template(node: ast.AST) -> str | None:
    """Return the text of a string, with its expressions in braces; None for other nodes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                f"{{{ast.unparse(part.value)}}}"
                if isinstance(part, ast.FormattedValue)
                else ast.literal_eval(part)
                for part in parts
            )
        case _:
            return None


def test_the_page_has_all_messages() -> None:
    assert page() == PAGE.read_text()


if __name__ == "__main__":
    sys.stdout.write(page())
