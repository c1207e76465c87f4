"""The packages that `pip install` of Till brings along, according to their declared requirements."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
OURS = {
    project["name"]: project
    for directory in (ROOT, ROOT / "clients/python")
    for project in [tomllib.loads((directory / "pyproject.toml").read_text())["project"]]
}


def required(name: str, extras: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the requirements of a package in this environment."""
    if name in OURS:
        optional = OURS[name].get("optional-dependencies", {})
        lines = [*OURS[name]["dependencies"], *(line for extra in extras for line in optional.get(extra, ()))]
    else:
        lines = distribution(name).requires or []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or [""]):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def closure(*wanted: tuple[str, Iterable[str]]) -> set[str]:
    found = set()
    waiting = [(name, frozenset(extras)) for name, extras in wanted]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting.extend(required(*package))
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def everything() -> set[str]:
    try:
        return closure(("lightning-till", ["otel"]), ("lightning-till-client", ["cli"]))
    except PackageNotFoundError as missing:
        pytest.fail(f"pip would install {missing.name}, and requirements-dev.txt does not: run `make lock`")


def test_no_two_packages_bring_the_same_module(everything: set[str]) -> None:
    """Otherwise chance decides which package wins; coincurve, for example, has two distributions."""
    files = Counter(
        str(file)
        for name in everything - OURS.keys()
        for file in distribution(name).files or ()
        if file.suffix in {".py", ".so"} and ".." not in file.parts
    )

    assert [file for file, packages in files.items() if packages > 1] == []
    assert files["coincurve/__init__.py"] == 1


def test_it_is_what_the_lock_file_pins(everything: set[str]) -> None:
    """The declared requirements and the lock file agree in both directions."""
    pinned = {
        canonicalize_name(requirement.name)
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line[:1].isalpha()
        for requirement in [Requirement(line.rstrip("\\ "))]
        if requirement.marker is None or requirement.marker.evaluate()
    }

    assert pinned == closure(("lightning-till", []), ("lightning-till-client", ["cli"])) - OURS.keys()
