"""The tables in Envoy's Lua filters agree with the error classes and the protos."""

import re
from importlib import resources

from google.api import annotations_pb2

from till_rest.v1 import event_service_pb2, invoice_service_pb2, webhook_service_pb2
from tilld import errors
from tilld.grpc_api.dispatcher import STATUS, reason_of

ROW = re.compile(r'^  (E\d+) = \{"\d{3}", (\d+), "(\w+)", "(.+)"\},$', re.MULTILINE)

PARAMETERS = re.compile(
    r'^(?:local FILTER =|  \["(.+)"\] =) (FILTER)?(?: \.\. )?(?:"(?:, )?(.+)")?,?$', re.MULTILINE
)


def test_the_table_has_every_error_with_its_status_reason_and_text() -> None:
    """The OpenAPI tests compare the HTTP status."""
    lua = resources.files("tilld.envoy").joinpath("response.lua").read_text()
    rows = {code: (int(status), reason, text) for code, status, reason, text in ROW.findall(lua)}
    tree = {
        each.code: (STATUS[each.code].value[0], reason_of(each), each.default)
        for each in errors.TillError.__subclasses__()
    }

    # The log of tilld does not contain internal errors of Envoy, so the text omits the log.
    status, reason, text = rows["E0"]
    assert rows | {"E0": (status, reason, f"{text}; the operator's log has the details")} == tree


def test_the_parameters_of_a_list_are_those_of_its_proto() -> None:
    """A field that the filter does not know could not be sent; an unknown one could not be read."""
    lua = resources.files("tilld.envoy").joinpath("request.lua").read_text()
    [(_, _, shared), *rows] = PARAMETERS.findall(lua)
    services = [
        invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"],
        event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
        webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
    ]

    known = {path: ", ".join(filter(None, (base and shared, more))).split(", ") for path, base, more in rows}
    # It becomes the header Last-Event-ID.
    known["/lightning/events/stream"].remove("lastEventId")

    assert known == {
        method.GetOptions().Extensions[annotations_pb2.http].get: [
            field.name
            for field in method.input_type.fields
            if f"{{{field.name}}}" not in method.GetOptions().Extensions[annotations_pb2.http].get
        ]
        for service in services
        for method in service.methods
        if method.name
        in ("ListInvoices", "ExportInvoices", "GetReport", "ListEvents", "WatchEvents", "ListDeliveries")
    }
