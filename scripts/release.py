"""Checks that a release is ready, and tags it: release.py VERSION COMMAND... Run by make.

COMMAND writes all that changes with the version of pyproject.toml. Nothing is committed, pushed or published.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

PROJECT = Path("pyproject.toml")
CHANGELOG = Path("CHANGELOG.md")
# No pre-releases: CMake knows none.
VERSION = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}")


def git(*arguments: str) -> str:
    """Run git; return its output."""
    return subprocess.check_output(("git", *arguments), text=True).strip()


def numbers(version: str) -> list[int]:
    """Return what versions are compared by."""
    return [int(part) for part in version.split(".")]


def obstacles(version: str, current: str) -> Iterator[str]:
    """Yield each reason against the release, with what to do."""
    branch = git("branch", "--show-current")
    if branch != "main":
        yield f"the branch is {branch or 'none: HEAD is detached'}, not main; run 'git switch main'"
    if git("status", "--porcelain"):
        yield "the working tree has changes; commit, ignore or stash them"
    released = [tag[1:] for tag in git("tag", "--list", "v*").split() if VERSION.fullmatch(tag[1:])]
    newest = max([current, *released], key=numbers)
    if version in released:
        yield f"the tag v{version} exists; choose a version after {newest}"
    elif numbers(version) < numbers(newest):
        yield f"VERSION {version} is older than {newest}; choose a newer one"
    yield from gaps(version)


def gaps(version: str) -> Iterator[str]:
    """Yield what the changelog lacks for the release."""
    sections = re.findall(r"^## \[(.*)\](.*)\n((?:(?!## ).*\n?)*)", CHANGELOG.read_text(), re.MULTILINE)
    found = {name: (rest, body) for name, rest, body in sections}
    if version not in found:
        yield f"{CHANGELOG}: no section '## [{version}] - YYYY-MM-DD'; move the content of [Unreleased] to it"
        return
    rest, body = found[version]
    try:
        date.fromisoformat(rest.removeprefix(" - "))
    except ValueError:
        yield f"{CHANGELOG}: the section has no date; write '## [{version}] - YYYY-MM-DD'"
    if not has_entries(body):
        yield f"{CHANGELOG}: the section [{version}] is empty; list what users notice"
    if "Unreleased" in found and has_entries(found["Unreleased"][1]):
        yield f"{CHANGELOG}: [Unreleased] has entries, which the tag would contain; move them to [{version}]"


def has_entries(body: str) -> bool:
    """Return whether a section of the changelog lists a change."""
    return bool(re.search(r"^- ", body, re.MULTILINE))


def main() -> None:
    """Check, write the version, and tag the commit unless that changed a file."""
    version, *command = sys.argv[1:]
    if not VERSION.fullmatch(version):
        sys.exit(f"VERSION must be three numbers, such as 'make release VERSION=1.2.3'; it is {version!r}")
    text = PROJECT.read_text()
    current = tomllib.loads(text)["project"]["version"]
    if found := list(obstacles(version, current)):
        sys.exit("\n".join(["not released:", *(f"  - {each}" for each in found)]))
    if version != current:
        PROJECT.write_text(text.replace(f'\nversion = "{current}"\n', f'\nversion = "{version}"\n', 1))
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"not released: '{' '.join(command)}' failed; correct what it reports, and repeat")
    if changed := git("status", "--short"):
        sys.exit(
            f"not released yet: these files are new in {version}:\n{changed}\n"
            f"Next: git commit --all --message 'release: {version}', check it, and repeat."
        )
    # Go finds the version of a module in a folder by a tag with the folder's name.
    tags = (f"v{version}", f"clients/go/v{version}")
    for tag in tags:
        git("tag", "--annotate", tag, "--message", f"Till {version}")
    commit = git("rev-parse", "--short", "HEAD")
    print(f"Tagged {commit} as {' and '.join(tags)}. Nothing is pushed or published.")
    print(f"Next: git push origin main {' '.join(tags)}")


if __name__ == "__main__":
    main()
