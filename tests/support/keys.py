"""Keys for tests, made by the command that operators use."""

from pathlib import Path

from tests.support.processes import output

# Every key that a test has made.
KEYS: set[str] = set()


async def make_key(directory: Path, *arguments: str) -> dict[str, str]:
    """Make a key beside a running Till with this data directory; returns the header that carries it."""
    code, told = await output("key", "create", "--data-dir", str(directory), *arguments, cwd=directory)
    assert code == 0, told
    token = told.split()[-1]
    KEYS.add(token)
    return {"authorization": f"Bearer {token}"}
