"""Writes the address of the public repository into all files that name it. Run by make.

The Go module's path, the metadata of the packages and the links of their READMEs contain the address.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit


def main(new: str) -> None:
    """Replace the address in pyproject.toml, with and without https://, in every tracked file."""
    parts = urlsplit(new.removesuffix("/"))
    if parts.scheme != "https" or not parts.path.strip("/") or parts.query or parts.fragment:
        sys.exit(
            f"URL is {new!r}; give the address of the repository, such as https://example.com/owner/till"
        )
    old = urlsplit(tomllib.loads(Path("pyproject.toml").read_text())["tool"]["till"]["repository"])
    before, after = (f"{each.netloc}{each.path}".encode() for each in (old, parts))
    names = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    for file in map(Path, names.rstrip("\0").split("\0")):
        if file.is_file() and b"\0" not in (content := file.read_bytes()) and before in content:
            file.write_bytes(content.replace(before, after))
            print(file)
    print("Now run 'make generate proto-baseline', check the difference, and commit it.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
