"""Clients generated from openapi.json read large amounts and rich metadata, and create an "any"."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from pathlib import Path

import pytest

from tests.clients.choice import chosen, left_out
from tests.support.shop import config, open_shop

PROGRAMS = Path(__file__).parent / "generated"
DOCUMENT = resources.files("tilld.rest_api") / "openapi.json"
# Pinned here; the TypeScript generator is pinned in generated/package.json.
OPENAPI_GENERATOR = "org.openapitools:openapi-generator-cli:7.24.0"
OPENAPI_PYTHON_CLIENT = "openapi-python-client==0.29.1"
NEEDS = {"go": "go java mvn", "java": "java mvn", "python": "", "typescript": "node npm"}
METADATA = {
    "type": "shop",
    "order": {"id": 12345, "lines": [1, "two", None, {"deep": True}]},
    "name": "é☕",
    "paid": False,
}

# The first build takes minutes.
pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program, which must succeed. Return its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def openapi_generator(directory: Path, language: str, *options: str) -> None:
    """Generate a client into the directory `client`."""
    run(
        "mvn",
        "-q",
        "-B",
        "dependency:copy",
        f"-Dartifact={OPENAPI_GENERATOR}",
        "-DoutputDirectory=jar",
        cwd=directory,
    )
    run(
        "java", "-jar", *(directory / "jar").iterdir(), "generate", "-i", "openapi.json", "-g", language,
        "-o", "client", "--global-property=apiTests=false,modelTests=false,apiDocs=false,modelDocs=false",
        *options, cwd=directory,
    )  # fmt: skip


def go(directory: Path) -> list[str | Path]:
    openapi_generator(directory, "go", "--git-host=", "--additional-properties=packageName=till")
    client = directory / "client"
    (client / "go.mod").unlink()
    (client / "main").mkdir()
    shutil.copy(PROGRAMS / "main.go", client / "main")
    run("go", "mod", "init", "generated", cwd=client)
    run("go", "mod", "tidy", cwd=client)
    run("go", "build", "-o", "program", "./main", cwd=client)
    return [client / "program"]


def java(directory: Path) -> list[str | Path]:
    openapi_generator(directory, "java", "--library=native")
    client = directory / "client"
    shutil.copy(PROGRAMS / "Main.java", client / "src/main/java")
    run("mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath", cwd=client)
    libraries = (client / "classpath").read_text().strip()
    return ["java", "-cp", f"{client / 'target/classes'}{os.pathsep}{libraries}", "Main"]


def typescript(directory: Path) -> list[str | Path]:
    for name in ("main.ts", "package.json"):
        shutil.copy(PROGRAMS / name, directory)
    run("npm", "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund", cwd=directory)
    run("npm", "run", "--silent", "build", cwd=directory)
    return ["node", directory / "dist/main.js"]


def python(directory: Path) -> list[str | Path]:
    run(sys.executable, "-m", "venv", "venv", cwd=directory)
    binaries = directory / "venv/bin"
    run(binaries / "pip", "install", "--quiet", OPENAPI_PYTHON_CLIENT, cwd=directory)
    (directory / "config.yml").write_text("post_hooks: []\n")
    run(
        binaries / "openapi-python-client", "generate", "--path=openapi.json", "--output-path=client",
        "--config=config.yml", "--fail-on-warning", cwd=directory,
    )  # fmt: skip
    shutil.copy(PROGRAMS / "main.py", directory / "client")
    return [binaries / "python", directory / "client/main.py"]


@pytest.mark.parametrize("generate", [go, java, python, typescript])
async def test_a_generated_client_reads_large_amounts_and_metadata(
    request: pytest.FixtureRequest, tmp_path: Path, generate: Callable[[Path], list[str | Path]]
) -> None:
    """3,000,000,000 msat exceed 32 bits. Unknown fields of the metadata are kept."""
    language = generate.__name__
    if language not in chosen(request.config):
        pytest.skip(f"the {language} client is not chosen")
    if missing := ", ".join(each for each in NEEDS[language].split() if not shutil.which(each)):
        left_out(request.config, f"that generated for {language}, which needs {missing}")
    (tmp_path / "openapi.json").write_bytes(DOCUMENT.read_bytes())
    program = await asyncio.to_thread(generate, tmp_path)
    async with open_shop(config(tmp_path / "till")) as shop:
        invoice = await shop.create(msat=3_000_000_000, metadata=METADATA)

        told = await asyncio.to_thread(
            run, *program, str(shop.rest.base_url).rstrip("/"), invoice["invoiceid"], cwd=tmp_path
        )

    assert json.loads(told) == {
        "status": "unpaid",
        "msatoshi": 3_000_000_000,
        "metadata": METADATA,
        "created_at": datetime.fromisoformat(invoice["created_at"]).timestamp(),
        "is_any": True,
        "any_metadata": METADATA,
    }
