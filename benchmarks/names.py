"""Names of the rows that several modules use."""

EMPTY = "empty handler, by our client"
EMPTY_ALONE = "empty handler alone, by our client"
EMPTY_H2LOAD = "empty handler, by h2load"
EMPTY_H2LOAD_ALONE = "empty handler alone, by h2load"
EMPTY_STREAM = "a thousand messages of an empty streaming server"
BARE_COMMIT = "bare SQLite commit"
BARE_NODE = "bare node calls, one connection"
BARE_NODE_BUSY = "bare node calls, 8 connections"

READ = "read, gRPC"
READ_ALONE = "read alone, gRPC"
READ_BEHIND_REST = "read, the method behind REST, gRPC"
READ_REST = "read, REST"
INFO = "info, gRPC"
CREATE = "create, gRPC"
CREATE_ALONE = "create alone, gRPC"
START = "start"
ASLEEP = "all idle, opened in a burst"
ONE_TOLD = "one payment to one watcher"
THOUSAND_TOLD = "one payment to a thousand watchers"


def on_small(name: str) -> str:
    """Return the name of the same row on a small store."""
    return f"{name}, 1,000 rows"
