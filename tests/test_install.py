"""The output of `make run` and `make test` during the installation."""

import hashlib
import os
import sys
import zipfile
from pathlib import Path
from subprocess import CompletedProcess, run

INSTALL = Path(__file__).parents[1] / "scripts/install.py"
NAMES = ("till-test-one", "till-test-two")


def wheel(directory: Path, name: str) -> str:
    """Write an empty package; return its line in a requirements file."""
    module = name.replace("-", "_")
    file = directory / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{module}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def install(directory: Path, requirements: str) -> CompletedProcess[str]:
    (directory / "requirements.txt").write_text(requirements)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(directory), "PIP_TARGET": str(directory / "there")}
    command = (sys.executable, INSTALL, directory / "requirements.txt")
    return run(command, check=False, env=os.environ | settings, capture_output=True, text=True)


def test_each_package_is_a_line_with_its_progress(tmp_path: Path) -> None:
    lines = [wheel(tmp_path, name) for name in NAMES]
    elsewhere = 'till-test-three==1.0 ; sys_platform == "nowhere" --hash=sha256:' + "0" * 64 + "\n"

    told = install(tmp_path, "# pinned\n" + elsewhere + "".join(lines))

    assert told.returncode == 0, told.stderr
    assert [line.split()[:2] for line in told.stdout.splitlines()] == [
        ["2/3", "till_test_one-1.0-py3-none-any.whl"],
        ["3/3", "till_test_two-1.0-py3-none-any.whl"],
        ["unpacking", "2"],
    ]
    assert (tmp_path / "there/till_test_two.py").exists()


def test_a_failure_is_pips_own(tmp_path: Path) -> None:
    """The output has pip's message; without pip's exit code make would continue."""
    changed = wheel(tmp_path, NAMES[0]).replace("sha256:", "sha256:0")[:-2]

    told = install(tmp_path, changed)

    assert told.returncode == 1
    assert "ERROR" in told.stderr
    assert "till-test-one" in told.stderr
