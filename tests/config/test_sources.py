"""Sources of settings: which one is stronger, the file of --config, and its errors."""

from pathlib import Path
from typing import Any

import pytest

from tilld.config import Config
from tilld.config.sources import Origin
from tilld.errors import OperatorError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tilld.toml"


def error(**flags: Any) -> str:
    with pytest.raises(OperatorError) as raised:
        Config.load(**flags)
    return str(raised.value)


def test_flags_go_before_variables_before_the_file_before_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('grpc = "a:1"\nrest = "a:2"\nmetrics = "a:3"\n')
    monkeypatch.setenv("TILLD_GRPC", "b:1")
    monkeypatch.setenv("TILLD_REST", "b:2")

    settings = Config.load(config=str(file), grpc="c:1")

    names = ("grpc", "rest", "metrics", "data_dir")
    assert [str(getattr(settings, name)) for name in names] == ["c:1", "b:2", "a:3", ".till"]
    assert [settings.origin(name) for name in names] == [
        Origin("flag", "--grpc"),
        Origin("variable", "TILLD_REST"),
        Origin("file", str(file)),
        Origin("default"),
    ]


def test_the_file_has_typed_values(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable TILLD_CONFIG names the file too, and ~ is expanded in both."""
    file.write_text(
        'cors_origin = ["https://a.example", "https://b.example"]\nupstream = "a:1, b:2"\nno_rest = true\n'
        'key_watches = 5\nheartbeat_seconds = 0.5\nno_color = false\notlp_endpoint = "http://a:1"\n'
        'data_dir = "~/till"\nmetrics = ""\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TILLD_CONFIG", "~/tilld.toml")

    settings = Config.load()

    assert settings.cors_origin == ("https://a.example", "https://b.example")
    assert [str(each) for each in settings.upstream] == ["a:1", "b:2"]
    assert (settings.no_rest, settings.key_watches, settings.heartbeat_seconds) == (True, 5, 0.5)
    assert (settings.colors, settings.otlp_endpoint) == (True, "http://a:1")
    assert (settings.data_dir, settings.metrics, settings.config) == (tmp_path / "till", None, file)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('grpc = "localhost"', "grpc in {} is 'localhost': give HOST:PORT, such as 127.0.0.1:8080"),
        ("rest = 8080", "rest in {} is 8080: give HOST:PORT, such as 127.0.0.1:8080"),
        (
            'cors_origin = ["*", "https://a/"]',
            "cors_origin in {} is 'https://a/': give an origin as browsers",
        ),
        ("key_watches = 0", "key_watches in {} is 0: Input should be greater than 0"),
        ('otlp_endpoint = "a:1"', "otlp_endpoint in {} is 'a:1': give http://HOST:PORT"),
        ('[database]\nurl = "postgresql://a:secret@b/c"', "database in {} is a table: Input should be"),
        ('database = ["secret"]', "database in {} is an array: Input should be"),
        ("no_rset = true", "no_rset in {} is not a setting; did you mean no_rest?"),
        ('TILLD_DATA-DIR = ""', "TILLD_DATA-DIR in {} is not a setting; did you mean data_dir?"),
        ('config = "x"', "config in {} is not a setting; 'tilld config --example' has all names"),
        ("[server]\nport = 1", "server in {} is not a setting; "),
        ("rest =", "{} is not valid TOML; correct it: "),
        ("\udcff", "{} is not valid TOML; correct it: "),
    ],
)
def test_a_mistake_in_the_file_is_reported(file: Path, line: str, said: str) -> None:
    """The error names the file and the key, and has the words of the flag."""
    file.write_text(line, errors="surrogateescape")

    assert error(config=str(file)).startswith(said.format(file))
    assert "secret" not in error(config=str(file))


@pytest.mark.parametrize("name", ["nowhere.toml", "", "~nobody-of-this-name/tilld.toml"])
def test_a_file_that_does_not_exist_is_reported(tmp_path: Path, name: str) -> None:
    said = error(config=str(tmp_path / name) if not name.startswith("~") else name)

    assert said.startswith("--config (TILLD_CONFIG) is ")
    assert said.endswith(": there is no such file")


def test_the_url_of_the_database_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential of systemd is such a file. Of the two settings, that of the stronger source counts."""
    secret = tmp_path / "database"
    secret.write_text("postgresql://till:secret@db/till\n")
    monkeypatch.setenv("TILLD_DATABASE_FILE", str(secret))
    (tmp_path / "tilld.toml").write_text('database = "sqlite:///x"\n')

    from_file = Config.load(config=tmp_path / "tilld.toml")

    assert from_file.database_url == "postgresql://till:secret@db/till"
    assert "secret" not in repr(from_file)
    assert Config.load(database="sqlite:///y").database_url == "sqlite:///y"


def test_two_urls_of_the_database_exclude_each_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('database = "sqlite:///x"\ndatabase_file = "y"\n')
    advice = "exclude each other; give one"

    assert error(database="a", database_file="b") == f"--database and --database-file {advice}"
    assert error(config=str(file)) == f"database in {file} and database_file in {file} {advice}"
    monkeypatch.setenv("TILLD_DATABASE", "a")
    monkeypatch.setenv("TILLD_DATABASE_FILE", "b")
    assert error() == f"TILLD_DATABASE and TILLD_DATABASE_FILE {advice}"


@pytest.mark.parametrize("content", [None, b"", b"secret", b"postgresql://a:secret@b/c\nmore", b"\xff://"])
def test_a_file_without_a_url_is_reported(tmp_path: Path, content: bytes | None) -> None:
    """The error does not show what the file has."""
    secret = tmp_path / "database"
    if content is not None:
        secret.write_bytes(content)

    with pytest.raises(OperatorError) as raised:
        _ = Config.load(database_file=secret).database_url

    assert str(raised.value).startswith(f"--database-file (TILLD_DATABASE_FILE) is '{secret}': ")
    assert "secret" not in str(raised.value)
