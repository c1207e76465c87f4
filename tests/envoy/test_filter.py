"""The table of errors in Envoy's Lua filter agrees with the error classes."""

import re
from importlib import resources

from tilld import errors
from tilld.grpc_api.dispatcher import STATUS, reason_of

ROW = re.compile(r'^  (E\d+) = \{"\d{3}", (\d+), "(\w+)", "(.+)"\},$', re.MULTILINE)


def test_the_table_has_every_error_with_its_status_reason_and_text() -> None:
    """The OpenAPI tests compare the HTTP status."""
    lua = resources.files("tilld.envoy").joinpath("filter.lua").read_text()
    rows = {code: (int(status), reason, text) for code, status, reason, text in ROW.findall(lua)}
    tree = {
        each.code: (STATUS[each.code].value[0], reason_of(each), each.default)
        for each in errors.TillError.__subclasses__()
    }

    # The log of tilld does not contain internal errors of Envoy, so the text omits the log.
    status, reason, text = rows["E0"]
    assert rows | {"E0": (status, reason, f"{text}; the operator's log has the details")} == tree
