"""Each rule in clients/conformance/README.md has a case in the suite."""

import re

import pytest

from tests.clients import suite

README = suite.FILE.with_name("README.md").read_text()
[TABLE] = re.findall(r"^## The rules\n.*?^\| --- .*?\n(.*?)\n\n", README, re.MULTILINE | re.DOTALL)
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in TABLE.splitlines()]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROWS])
def test_a_rule_has_a_case(row: list[str]) -> None:
    _, value, force, case = row

    assert value
    assert force in {"must", "may"}
    assert case in {each["name"] for each in suite.load()}
