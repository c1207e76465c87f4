"""What the documents promise is tested: each test that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = "\n".join(path.read_text() for path in sorted(ROOT.glob("tests/**/*.py")))


@pytest.mark.parametrize("document", ["reliability.md", "security.md"])
def test_each_test_that_a_document_names_exists(document):
    named = set(
        re.findall(
            r"`(?:tests/)?([\w/]*\btest_\w+(?:\.py)?)`", (ROOT / "docs" / "design" / document).read_text()
        )
    )
    files = {name for name in named if name.endswith(".py")}

    assert len(named) > 20
    assert {name for name in files if not list(ROOT.glob(f"tests/**/{name}"))} == set()
    assert {name for name in named - files if f"def {name}(" not in TESTS} == set()
