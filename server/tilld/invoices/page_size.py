"""The size of invoices in a page. Pure."""

from tilld.invoices.invoice import Invoice

# Envoy limits a response to 1 MiB, and gRPC clients a message to 4 MiB.
MAX_PAGE_BYTES = 1_000_000


def max_json_bytes(invoice: Invoice) -> int:
    """Return the bytes of an invoice in JSON, or more: each character of a description may be escaped."""
    description = invoice.description or ""
    texts = (invoice.bolt11, invoice.metadata, description, description)
    return 800 + sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
