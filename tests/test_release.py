"""The version, which all packages and documents share, and `make release`."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[1]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TRACKED = subprocess.check_output(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
).splitlines()
# The name of the client's package with a version after it, in any of the languages, and the image's label.
NAMED = re.compile(
    r"(?:lightning-till-client(?:[-=]+|\W+version\W+|</artifactId>\s*<version>)|\bimage\.version=\")"
    r"(\d+\.[\w.-]*\w)",
    re.IGNORECASE,
)
PACKAGES = {
    "Containerfile", "clients/cpp/CMakeLists.txt", "clients/java/pom.xml", "clients/python/pyproject.toml",
    "clients/rust/Cargo.toml", "clients/typescript/package.json", "pyproject.toml",
}  # fmt: skip
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "MAKE"))} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "till@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
CHANGELOG = """# Changelog

## [Unreleased]

## [0.3.0] - 2026-12-01

### Added

- A drawer.

## [0.2.0] - 2026-11-26

- A till.
"""


def named(root: Path) -> dict[str, set[str]]:
    """Return the versions in each file that names the client with one."""
    texts = ((file, (root / file).read_text(errors="replace")) for file in TRACKED if (root / file).is_file())
    return {
        file: {re.sub(r"\.(jar|tgz)$", "", each) for each in found}
        for file, text in texts
        if (found := NAMED.findall(text))
    }


def test_all_places_have_one_version() -> None:
    found = named(ROOT)
    openapi = json.loads((ROOT / "server/tilld/rest_api/openapi.json").read_text())
    supported = re.findall(r"^\| (\d\S*)\.x \| yes \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    newest = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]

    assert {file: versions for file, versions in found.items() if versions != {VERSION}} == {}
    assert found.keys() >= PACKAGES
    assert [openapi["info"]["version"], newest] == [VERSION, VERSION]
    assert supported == [VERSION.rpartition(".")[0]]


def run(directory: Path, *command: str | Path) -> CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        cwd=directory,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def git(directory: Path, *arguments: str) -> str:
    done = run(directory, "git", *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def commit(directory: Path) -> None:
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message=change")


def release(directory: Path, version: str) -> CompletedProcess[str]:
    return run(directory, sys.executable, ROOT / "scripts/release.py", version, "true")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that is ready for 0.3.0, after 0.2.0."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "till"\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    commit(tmp_path)
    git(tmp_path, "tag", "--annotate", "v0.2.0", "--message=Till 0.2.0")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "till"\nversion = "0.3.0"\n')
    commit(tmp_path)
    return tmp_path


def test_a_release_is_an_annotated_tag(repository: Path) -> None:
    done = release(repository, "0.3.0")

    assert done.returncode == 0, done.stdout
    assert "git push origin main v0.3.0 clients/go/v0.3.0" in done.stdout
    assert git(repository, "cat-file", "-t", "v0.3.0") == "tag"
    assert git(repository, "rev-parse", "v0.3.0^{commit}") == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "version",
    ["", "0.3", "v0.3.0", "0.3.0.1", "0.03.0", "0.3.0-rc.1", "\N{ARABIC-INDIC DIGIT ZERO}.3.0", "0.3.0\n"],
)
def test_a_version_has_three_numbers(repository: Path, version: str) -> None:
    refused(repository, version, "VERSION must be three numbers")


@pytest.mark.parametrize(
    ("version", "reason"), [("0.2.0", "the tag v0.2.0 exists"), ("0.1.9", "0.1.9 is older than 0.3.0")]
)
def test_a_version_is_newer_than_all_before(repository: Path, version: str, reason: str) -> None:
    refused(repository, version, reason)


def test_versions_are_compared_by_number(repository: Path) -> None:
    git(repository, "tag", "v0.10.0")

    refused(repository, "0.3.0", "0.3.0 is older than 0.10.0")


@pytest.mark.parametrize("file", ["CHANGELOG.md", "untracked"])
def test_the_tree_is_clean(repository: Path, file: str) -> None:
    with (repository / file).open("a") as changed:
        changed.write("\n")

    refused(repository, "0.3.0", "the working tree has changes")


@pytest.mark.parametrize("switch", [["--create", "other"], ["--detach"]])
def test_the_branch_is_main(repository: Path, switch: list[str]) -> None:
    git(repository, "switch", "--quiet", *switch)

    refused(repository, "0.3.0", "run 'git switch main'")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[0.3.0]", "[0.3.1]", "no section '## [0.3.0] - YYYY-MM-DD'"),
        (" - 2026-12-01", "", "the section has no date"),
        ("2026-12-01", "2026-12-32", "the section has no date"),
        ("- A drawer.", "", "the section [0.3.0] is empty"),
        ("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- A lock.\n", "[Unreleased] has entries"),
    ],
)
def test_the_changelog_has_what_is_released(repository: Path, old: str, new: str, reason: str) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace(old, new))
    commit(repository)

    refused(repository, "0.3.0", reason)


def refused(repository: Path, version: str, reason: str) -> None:
    """A refusal tags and changes nothing."""
    before = git(repository, "tag"), git(repository, "status", "--porcelain")

    done = release(repository, version)

    assert done.returncode == 1
    assert reason in done.stdout
    assert (git(repository, "tag"), git(repository, "status", "--porcelain")) == before


def test_make_release_writes_the_version_everywhere_and_then_tags(tmp_path: Path) -> None:
    """A copy of this repository, after a commit of what the first run has written."""
    for file in TRACKED:
        if os.path.lexists(ROOT / file):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / file, follow_symlinks=False)
    later = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    # The installed environment is used as it is.
    (tmp_path / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (tmp_path / ".venv" / part).symlink_to(Path(sys.prefix, part))
    for stamp in (".run", ".dev"):
        (tmp_path / ".venv" / stamp).touch()
        os.utime(tmp_path / ".venv" / stamp, (later, later))
    with (tmp_path / "CHANGELOG.md").open("r+") as changelog:
        released = changelog.read().replace(
            "## [Unreleased]\n", "## [Unreleased]\n\n## [987.6.5] - 2026-12-01\n\n- A drawer.\n"
        )
        changelog.seek(0)
        changelog.write(released)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)

    first = run(tmp_path, "make", "release", "VERSION=987.6.5")

    assert "git commit --all" in first.stdout, first.stdout
    assert git(tmp_path, "tag") == ""
    fresh = run(tmp_path, "make", "generated-version")
    assert fresh.returncode == 0, fresh.stdout
    assert set().union(*named(tmp_path).values()) == {"987.6.5"}
    assert "| 987.6.x | yes |" in (tmp_path / "SECURITY.md").read_text()
    commit(tmp_path)

    second = run(tmp_path, "make", "release", "VERSION=987.6.5")

    assert "Tagged" in second.stdout, second.stdout
    assert git(tmp_path, "tag").split() == ["clients/go/v987.6.5", "v987.6.5"]


@pytest.mark.parametrize("file", sorted(PACKAGES - {"pyproject.toml"}))
def test_a_version_that_differs_is_reported(tmp_path: Path, file: str) -> None:
    """As `make generated` calls it."""
    for each in {*named(ROOT), "SECURITY.md"}:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    command = (sys.executable, ROOT / "scripts/version.py", "--check")
    assert run(tmp_path, *command).returncode == 0
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(text.replace(VERSION, "0.0.1"))

    done = run(tmp_path, *command)

    assert done.returncode == 1
    assert file in done.stdout
