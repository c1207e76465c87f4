"""Copies the version of pyproject.toml to each file that repeats it; --check only compares. Run by make."""

import re
import sys
import tomllib
from pathlib import Path

CLIENT = "lightning-till-client"
# The text before each copy. A copy keeps its number of parts: 0.2 becomes 0.3.
BEFORE = {
    "Containerfile": r'org\.opencontainers\.image\.version="',
    "SECURITY.md": r"^\| ",
    "clients/cpp/CMakeLists.txt": rf"^project\({CLIENT} VERSION ",
    "clients/java/README.md": rf"<artifactId>{CLIENT}</artifactId>\s*<version>|{CLIENT}-",
    "clients/java/pom.xml": rf"<artifactId>{CLIENT}</artifactId>\s*<version>",
    "clients/python/pyproject.toml": rf'^name = "{CLIENT}"\nversion = "',
    "clients/rust/Cargo.toml": rf'^name = "{CLIENT}"\nversion = "',
    "clients/typescript/README.md": f"{CLIENT}-",
    "clients/typescript/package-lock.json": rf'"name": "{CLIENT}",\s*"version": "',
    "clients/typescript/package.json": rf'"name": "{CLIENT}",\s*"version": "',
    "pyproject.toml": f'"{CLIENT}==',
}


def fresh(file: str, version: str) -> str:
    """Return a file's text with the version in it."""

    def copy(found: re.Match[str]) -> str:
        return found[1] + ".".join(version.split(".")[: found[2].count(".") + 1])

    pattern = rf"({BEFORE[file]})(\d+(?:\.\d+)+)"
    text, count = re.subn(pattern, copy, Path(file).read_text(), flags=re.MULTILINE)
    if not count:
        sys.exit(f"{file}: no version found; correct its pattern in scripts/version.py")
    return text


def main() -> None:
    """Write the files, or compare them."""
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    texts = {file: fresh(file, version) for file in BEFORE}
    stale = [file for file, text in texts.items() if Path(file).read_text() != text]
    if "--check" not in sys.argv:
        for file in stale:
            Path(file).write_text(texts[file])
    elif stale:
        sys.exit(f"not at version {version}: {', '.join(stale)}; run 'make generate-version' and commit")


if __name__ == "__main__":
    main()
