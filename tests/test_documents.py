"""Documents refer only to tests that exist, and to links that resolve."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = "\n".join(path.read_text() for path in sorted(ROOT.glob("tests/**/*.py")))
TRACKED = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).splitlines()


@pytest.mark.parametrize("document", ["reliability.md", "security.md"])
def test_each_test_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / "docs" / "design" / document).read_text()
    named = set(re.findall(r"`(?:tests/)?([\w/]*\btest_\w+(?:\.py)?)`", text))
    files = {name for name in named if name.endswith(".py")}

    assert len(named) > 20
    assert {name for name in files if not list(ROOT.glob(f"tests/**/{name}"))} == set()
    assert {name for name in named - files if f"def {name}(" not in TESTS} == set()


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as forges generate them."""
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", TRACKED)
def test_each_link_leads_somewhere(document: str) -> None:
    """A page in docs links only within docs, because the site has no other files of the repository."""
    page = ROOT / document
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not document.startswith("docs/") or path.is_relative_to(ROOT / "docs"), target
        assert not anchor or anchor in anchors(path.read_text()), f"{target}#{anchor}"
