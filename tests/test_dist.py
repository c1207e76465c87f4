"""The packages' READMEs, as a registry shows them, and the address of the repository in all packages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import dist

ROOT = Path(__file__).parents[1]
READMES = sorted(
    str(each.relative_to(ROOT)) for each in [ROOT / "README.md", *ROOT.glob("clients/*/README.md")]
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dist.exported(tmp_path_factory.mktemp("source"))


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_stands_alone(exported: Path, readme: str) -> None:
    """Its links lead to the repository, at the version of the package, to files that exist."""
    targets = re.findall(r"\]\(([^)\s]+)\)", (exported / readme).read_text())
    inside = f"{dist.REPOSITORY}/blob/v{dist.VERSION}/"

    assert [each for each in targets if not each.startswith(("https://", "#"))] == []
    paths = [each.removeprefix(inside).partition("#")[0] for each in targets if each.startswith(inside)]
    assert [each for each in paths if not (ROOT / each).exists()] == []


def test_the_address_of_the_repository_is_set_everywhere(exported: Path) -> None:
    old, new = dist.REPOSITORY.removeprefix("https://"), "example.org/owner/till"
    subprocess.run(["git", "init", "--quiet"], cwd=exported, check=True)
    subprocess.run(["git", "add", "--all"], cwd=exported, check=True)

    done = subprocess.run(
        [sys.executable, ROOT / "scripts/repository.py", f"https://{new}/"],
        cwd=exported, check=True, capture_output=True, text=True,
    )  # fmt: skip

    assert "clients/go/go.mod" in done.stdout
    assert (exported / "clients/go/go.mod").read_text().startswith(f"module {new}/clients/go\n")
    found = subprocess.run(
        ["git", "grep", "--name-only", "-I", old], cwd=exported, check=False, capture_output=True
    )
    assert found.stdout == b""


@pytest.mark.parametrize("url", ["", "example.org/till", "http://example.org/till", "https://example.org"])
def test_another_address_is_rejected(url: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/repository.py", url],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "give the address of the repository" in done.stderr
