"""The files of deploy/systemd, checked by systemd's own tools."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tilld.config.settings import Config

FILES = Path(__file__).parents[1] / "deploy" / "systemd"
UNIT = FILES / "tilld.service"
# Of 100; 12 were measured with systemd 252, where below 20 counts as OK.
MOST_EXPOSURE = 15


def systemd(tool: str, *arguments: str | Path) -> str:
    """Run a tool of systemd, which must succeed; return its output."""
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """The check needs a program that exists."""
    installed = Path(sys.executable).with_name("tilld")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tilld/bin/tilld", str(installed)))
    assert str(installed) in unit.read_text()

    assert systemd("systemd-analyze", "verify", unit) == ""


def test_the_sandbox_is_rated_as_good() -> None:
    systemd("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", UNIT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")
def test_the_user_and_the_directory_of_settings_are_created(tmp_path: Path) -> None:
    for kind in ("sysusers", "tmpfiles"):
        place = tmp_path / "etc" / f"{kind}.d" / "tilld.conf"
        place.parent.mkdir(parents=True)
        shutil.copy(FILES / f"{kind}.conf", place)
    settings = tmp_path / "etc" / "tilld" / "tilld.toml"
    settings.parent.mkdir()
    settings.touch()

    systemd("systemd-sysusers", f"--root={tmp_path}", "tilld.conf")
    systemd("systemd-tmpfiles", f"--root={tmp_path}", "--create", "tilld.conf")

    user = re.search(r"^tilld:.*$", (tmp_path / "etc" / "passwd").read_text(), re.MULTILINE)
    assert user
    assert user[0].endswith("/var/lib/tilld:/usr/sbin/nologin")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (settings.parent, settings)] == [0o750, 0o640]


@pytest.mark.parametrize("comments", ["", "# "])
def test_the_example_has_valid_settings(tmp_path: Path, comments: str) -> None:
    """Those that are commented out too."""
    text = (FILES / "tilld.toml").read_text()
    example = tmp_path / "tilld.toml"
    example.write_text(re.sub(rf"^{comments}(?=\w+ = )", "", text, flags=re.MULTILINE))

    config = Config.load(config=str(example))

    assert config.data_dir == Path("/var/lib/tilld")
    assert bool(config.tls_cert) == bool(comments)


def test_the_unit_leaves_time_to_stop() -> None:
    """Envoy and tilld each wait for calls in flight."""
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)

    assert seconds
    assert int(seconds[1]) > 2 * Config.load().grace_seconds + 10
