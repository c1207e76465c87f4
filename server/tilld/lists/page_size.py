"""The size of invoices in a page. Pure."""

from tilld.invoices.invoice import Invoice

# Envoy limits a response to 1 MiB, and gRPC clients a message to 4 MiB.
MAX_PAGE_BYTES = 1_000_000


def max_json_bytes(invoice: Invoice) -> int:
    """Return the bytes of an invoice in JSON, or more: each character of a description may be escaped."""
    metadata, description = invoice.metadata, invoice.description
    size = 800 + len(invoice.bolt11)
    size += len(metadata) if metadata.isascii() else len(metadata.encode())
    return size + 2 * len(description.encode()) if description else size
