"""Keys for tests, created by the command that operators use."""

from pathlib import Path

from tests.support.processes import output

# Every key that a test has created.
KEYS: set[str] = set()


async def make_key(directory: Path, *arguments: str) -> dict[str, str]:
    """Create a key in the data directory of a running Till; return the header that carries the key."""
    code, told = await output("key", "create", "--data-dir", str(directory), *arguments, cwd=directory)
    assert code == 0, told
    token = told.split()[-1]
    KEYS.add(token)
    return {"authorization": f"Bearer {token}"}
