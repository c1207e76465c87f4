"""`tilld config`, and the file of --config, with real processes."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.support.processes import fails, output, tilld
from tilld.config import Config
from tilld.config.settings import SETTINGS

SECRET = "postgresql://till:secret@db.example/till?sslmode=verify-full&password=secret"


async def test_each_value_is_printed_with_its_source(tmp_path: Path) -> None:
    """All columns are aligned. No line has a password."""
    (tmp_path / "tilld.toml").write_text(
        f'database = "{SECRET}"\nkey_watches = 5\ncors_origin = ["a://b", "a://c"]'
    )
    settings = {"TILLD_REST": "[::1]:80", "NO_COLOR": "1"}

    code, said = await output("config", "--config=tilld.toml", "--no-rest", cwd=tmp_path, **settings)

    assert code == 0
    rows = [re.split("  +", line) for line in said.splitlines()]
    assert rows[0] == ["SETTING", "VALUE", "SOURCE"]
    assert [row[0] for row in rows[1:]] == [each.name for each in SETTINGS]
    source = said.index("SOURCE")
    assert {line[source - 2 : source] for line in said.splitlines()} == {"  "}
    found = {name: values for name, *values in rows}
    assert found["config"] == ["tilld.toml", "flag --config"]
    assert found["rest"] == ["[::1]:80", "variable TILLD_REST"]
    assert found["no_rest"] == ["true", "flag --no-rest"]
    assert found["no_color"] == ["true", "variable NO_COLOR"]
    assert found["database"] == ["postgresql://till@db.example/till?sslmode=verify-full", "file tilld.toml"]
    assert found["key_watches"] == ["5", "file tilld.toml"]
    assert found["cors_origin"] == ["a://b, a://c", "file tilld.toml"]
    assert found["lightning_rpc"] == ["a simulated node with play money", "default"]
    assert "secret" not in said


async def test_a_program_reads_the_settings_as_json(tmp_path: Path) -> None:
    settings = {"TILLD_DATABASE": SECRET, "TILLD_GRPC": "127.0.0.1:1"}

    code, said = await output("config", "--json", cwd=tmp_path, **settings)

    found = json.loads(said)
    assert code == 0
    assert list(found) == [each.name for each in SETTINGS]
    assert found["grpc"] == {"value": "127.0.0.1:1", "source": "variable", "name": "TILLD_GRPC"}
    assert found["key_watches"] == {"value": 10000, "source": "default", "name": None}
    assert found["upstream"]["value"] == ["127.0.0.1:50051"]
    assert found["metrics"]["value"] is None
    assert "secret" not in said


async def test_the_example_has_all_settings_with_their_defaults(tmp_path: Path) -> None:
    """It changes nothing, and neither does an example without the comment signs."""
    code, text = await output("config", "--example", cwd=tmp_path, TILLD_REST="no address")
    uncommented = re.sub("^#(?=[a-z])", "", text, flags=re.MULTILINE)
    file = tmp_path / "tilld.toml"
    file.write_text(uncommented)

    assert code == 0
    assert tomllib.loads(text) == {}
    assert list(tomllib.loads(uncommented)) == [each.name for each in SETTINGS if each.name != "config"]
    values = Config.load(config=file).model_dump(exclude={"config", "simulated_payment_seconds"})
    assert values == Config().model_dump(exclude={"config", "simulated_payment_seconds"})
    assert max(map(len, text.splitlines())) <= 100


async def test_till_runs_with_a_file_and_its_advice_names_the_file(tmp_path: Path) -> None:
    """The advised commands find the same store."""
    (tmp_path / "url").write_text("sqlite:///shop.db\n")
    (tmp_path / "tilld.toml").write_text('grpc = "127.0.0.1:0"\nno_rest = true\ndatabase_file = "url"\n')
    async with tilld("run", "--config=tilld.toml", cwd=tmp_path) as till:
        await till.says(r"gRPC +(127\.0\.0\.1:\d+)\n")
        _, said = await output("key", "list", "--config=tilld.toml", cwd=tmp_path)
        assert await till.end() == 0
    [advice] = re.findall("create one: tilld (.*)", said)
    made, _ = await output(*shlex.split(advice), cwd=tmp_path)
    _, listed = await output("key", "list", cwd=tmp_path, TILLD_CONFIG="tilld.toml")

    assert "http://" not in till.out
    assert advice == "key create --username NAME --config tilld.toml"
    assert (made, len(listed.splitlines())) == (0, 2)
    assert (tmp_path / "shop.db").exists()
    assert not (tmp_path / ".till" / "till.db").exists()


@pytest.mark.parametrize("command", ["run", "envoy", "doctor", "import", "backup x", "key list", "config"])
async def test_a_mistake_in_the_file_ends_each_command(tmp_path: Path, command: str) -> None:
    (tmp_path / "tilld.toml").write_text("no_rset = true")

    line = await fails(*command.split(), "--config=tilld.toml", cwd=tmp_path)

    assert line == "tilld: no_rset in tilld.toml is not a setting; did you mean no_rest?"
