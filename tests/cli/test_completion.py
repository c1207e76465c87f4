"""Shell completion of both programs, in a real bash."""

import shutil
import sys
from pathlib import Path
from subprocess import run

import pytest

SCRIPT = """
source <(_{upper}_COMPLETE=source_bash {name})
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_{name}_completion {name}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(*words: str) -> list[str]:
    name = words[0]
    script = SCRIPT.format(name=name, upper=name.upper())
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = ["bash", "-c", script, "bash", *words]
    return run(command, check=True, capture_output=True, text=True, env={"PATH": path}).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_and_flags() -> None:
    assert completed("tilld", "r") == ["run", "restore"]
    assert completed("tilld", "key", "") == ["create", "list", "revoke"]
    assert completed("tilld", "webhook", "re") == ["redeliver", "replay"]
    assert completed("tilld", "run", "--database-") == ["--database-file"]
    assert completed("till", "invoice", "c") == ["create", "cancel"]
    assert completed("till", "webhook", "re") == ["redeliver", "replay"]
    assert completed("till", "webhook", "deliveries", "--state", "") == ["pending", "dead", "succeeded"]
