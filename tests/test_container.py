"""The files of the container agree with Till. `make container-check` builds and runs it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tilld.config import Config

ROOT = Path(__file__).parent.parent
FILES = ("Containerfile", "compose.yaml")


@pytest.mark.parametrize("file", FILES)
def test_each_variable_is_a_setting(file: str) -> None:
    """Till ignores a variable that it does not know."""
    named = set(re.findall(r"\bTILLD_[A-Z_]+", (ROOT / file).read_text()))

    assert named
    assert {name.removeprefix("TILLD_").lower() for name in named} <= Config.model_fields.keys()


@pytest.mark.parametrize("file", FILES)
def test_each_image_of_others_is_pinned(file: str) -> None:
    images = re.findall(r"docker\.io/\S+", (ROOT / file).read_text())

    assert images
    assert [image for image in images if not re.search(r":\S+@sha256:[0-9a-f]{64}$", image)] == []


def test_compose_builds_the_image_from_a_file_that_exists() -> None:
    """Docker looks for a Dockerfile, unless it gets another name."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    [build] = [service["build"] for service in services.values() if "build" in service]

    assert (ROOT / build["context"] / build["dockerfile"]).is_file()


def test_the_build_gets_each_file_of_the_package() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    needed = {"pyproject.toml", "clients/python", *(path.strip("/") for path in targets["sdist"]["include"])}

    assert {f"!{path}" for path in needed} <= set((ROOT / ".dockerignore").read_text().splitlines())


def test_the_pinned_build_tools_are_the_declared_ones() -> None:
    [declared] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]

    assert f"\n{declared} " in (ROOT / "requirements-build.txt").read_text()
