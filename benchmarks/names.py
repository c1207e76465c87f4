"""Names of the rows that several modules use."""

EMPTY = "empty handler, by our client"
EMPTY_ALONE = "empty handler alone, by our client"
EMPTY_H2LOAD = "empty handler, by h2load"
EMPTY_H2LOAD_ALONE = "empty handler alone, by h2load"
EMPTY_STREAM = "a thousand messages of an empty streaming server"
BARE_COMMIT = "bare SQLite commit"
BARE_POST = "bare posts to the receiver, aiohttp"
BARE_NODE = "bare node calls, one connection"
BARE_NODE_BUSY = "bare node calls, 8 connections"

READ = "read, gRPC"
READ_ALONE = "read alone, gRPC"
READ_BEHIND_REST = "read, the method behind REST, gRPC"
READ_REST = "read, REST"
INFO = "info, gRPC"
CREATE = "create, gRPC"
CREATE_ORDERS = "create, different orders, gRPC"
CREATE_ALONE = "create alone, gRPC"
PAGE = "page of 100, gRPC"
PAGE_OF_STATUS = "page by status, gRPC"
PAGE_OF_TYPE = "page by type and status, gRPC"
PAGE_BY_PAYMENT = "page by payment, gRPC"
PAGE_OF_PREFIX = "page by label prefix, gRPC"
PAGE_OF_MEMBER = "page by member of metadata, gRPC"
PAGE_IN_THE_MIDDLE = "page in the middle by token, gRPC"
PAGE_REST = "page of 100, REST"
PAGES = (
    PAGE,
    PAGE_OF_STATUS,
    PAGE_OF_TYPE,
    PAGE_BY_PAYMENT,
    PAGE_OF_PREFIX,
    PAGE_OF_MEMBER,
    PAGE_IN_THE_MIDDLE,
)
BY_LABEL = "lookup by label, gRPC"
BY_LABEL_REST = "lookup by label, REST"
BY_HASH = "lookup by payment hash, gRPC"
BY_HASH_REST = "lookup by payment hash, REST"
LOOKUPS = (BY_LABEL, BY_LABEL_REST, BY_HASH, BY_HASH_REST)
REPORT = "report of 30 days, gRPC"
EXPORT = "CSV of all, gRPC"
EXPORT_REST = "CSV of all, REST"
CANCEL = "cancel, gRPC"
START = "start"
ASLEEP = "all idle, opened in a burst"
ONE_TOLD = "one payment to one watcher"
THOUSAND_TOLD = "one payment to a thousand watchers"
STREAMS = "all idle event streams, opened in a burst"
EVENT_TOLD = "one event to a thousand streams"
CAUGHT_UP = "100,000 events from the beginning"
DELIVERED = "one payment to a webhook"
DELIVERED_OF_CREATE = "one payment to the webhook_url of its create"
DELIVERED_BESIDE = "one payment to a webhook, 50 others hang"
CREATE_WITHOUT_WEBHOOKS = "20 creates a second, no webhooks, gRPC"
CREATE_WITH_WEBHOOKS = "20 creates a second, 16 webhooks, gRPC"
WAITED = "20,000 events that waited"


def on_small(name: str) -> str:
    """Return the name of the same row on a small store."""
    return f"{name}, 1,000 rows"


def on_postgresql(name: str) -> str:
    """Return the name of the same row on PostgreSQL."""
    return f"{name}, PostgreSQL"
