"""The C++ client as users build and install it, and the snippets of its README."""

import os
import re
from pathlib import Path
from subprocess import PIPE, STDOUT, run

import pytest

from tests.clients.agent import CLIENTS
from tests.clients.choice import built, chosen
from tests.support.processes import tilld
from tests.support.shop import config, open_shop

CPP = CLIENTS / "cpp"
RECEIVER = CLIENTS.parent / "docs" / "guides" / "webhooks"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (CPP / "README.md").read_text(), re.MULTILINE | re.DOTALL)
[CMAKE] = [text for language, text in BLOCKS if language == "cmake"]
PROGRAM, *SNIPPETS = [text for language, text in BLOCKS if language == "cpp"]
[COMMAND] = re.findall(r"`(c\+\+ .*?)`", (CPP / "README.md").read_text())
# The client's generated code takes most of the time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", autouse=True)
def client_is_built(request: pytest.FixtureRequest) -> None:
    if "cpp" not in chosen(request.config):
        pytest.skip("the C++ client is not chosen")
    built(request.config, "cpp")


def succeed(*command: str | Path, cwd: Path, **environment: str) -> None:
    done = run(
        command, check=False, cwd=cwd, env=os.environ | environment, stdout=PIPE, stderr=STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


def program(address: str) -> str:
    """Return the README's program, with its other snippets as functions that are only compiled."""
    signature = "(const till::Client& client, const std::string& key, const std::string& invoice_id)"
    uses = "(void)client, (void)key, (void)invoice_id;"
    functions = [
        f"void Snippet{number}{signature} {{ {uses} {{\n{snippet}}} }}\n"
        for number, snippet in enumerate(SNIPPETS)
    ]
    text: str = (
        PROGRAM.replace("127.0.0.1:50051", address)
        + "#include <fstream>\n#include <thread>\n"
        + "".join(functions)
    )
    return text


async def sell(directory: Path, commands: list[str], executable: str, **environment: str) -> None:
    """Build the README's program, run it beside a Till, and pay."""
    async with open_shop(config(directory / "till")) as till:
        (directory / "shop.cc").write_text(program(str(till.till.running.grpc)))
        (directory / "CMakeLists.txt").write_text(CMAKE)
        for command in commands:
            succeed("sh", "-c", command, cwd=directory, **environment)
        async with tilld(cwd=directory, program=[f"./{executable}"], **environment) as shop:
            await till.pay(await shop.says(r"(lnbcrt\w+)\n"))
            await shop.says("(INVOICE_STATUS_PAID)\n")
            assert await shop.process.wait() == 0


async def test_a_static_library_is_found_by_cmake(tmp_path: Path) -> None:
    succeed("cmake", "--install", CPP / "build", "--prefix", tmp_path / "prefix", cwd=tmp_path)

    commands = ["cmake -S . -B shop -DCMAKE_PREFIX_PATH=$PWD/prefix", "cmake --build shop"]
    await sell(tmp_path, commands, "shop/shop")


def test_a_receiver_of_webhooks_is_built_with_the_installed_header(tmp_path: Path) -> None:
    succeed("cmake", "--install", CPP / "build", "--prefix", tmp_path / "prefix", cwd=tmp_path)

    succeed("cmake", "-S", RECEIVER, "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path}/prefix", cwd=tmp_path)
    succeed("cmake", "--build", "build", cwd=tmp_path)

    assert (tmp_path / "build" / "receiver").exists()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Build as the README says, with one option more, and install; return the prefix."""
    prefix = tmp_path / "prefix"
    options = ["-DBUILD_SHARED_LIBS=ON", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    succeed("cmake", "-S", CPP, "-B", "build", *options, cwd=tmp_path)
    succeed("cmake", "--build", "build", "--parallel", "2", cwd=tmp_path)
    succeed("cmake", "--install", "build", cwd=tmp_path)
    assert "CMAKE_BUILD_TYPE:STRING=Release\n" in (tmp_path / "build/CMakeCache.txt").read_text()
    assert not list(tmp_path.glob("**/till-agent"))
    assert (prefix / "share/doc/lightning-till-client/LICENSE").exists()
    return prefix


async def test_a_shared_library_is_found_by_pkg_config(shared: Path, tmp_path: Path) -> None:
    paths = {"LD_LIBRARY_PATH": str(shared / "lib"), "PKG_CONFIG_PATH": str(shared / "lib/pkgconfig")}

    await sell(tmp_path, [f"{COMMAND} -o shop"], "shop", **paths)


def test_what_only_a_program_sees(tmp_path: Path) -> None:
    for name in ("till-client-test", "till-events-test", "till-webhooks-test"):
        succeed(CPP / "build" / name, cwd=tmp_path)
