"""Time-outs, polling intervals and page sizes."""

from typing import NamedTuple


class Pauses(NamedTuple):
    """Exponential back-off, in seconds: the first pause doubles with each failure, up to the longest."""

    first: float
    longest: float


class Intervals(NamedTuple):
    """Intervals in seconds, and page sizes. No operator needs to change them; tests use shorter ones."""

    # Time-out of one call to the node. A call to Till may need two of them.
    node_call_seconds: float = 10.0
    # How often Till checks that a silent node still answers.
    liveness_seconds: float = 15.0
    # How long the node's getinfo is cached.
    info_seconds: float = 1.0
    # Time-out of getinfo. A node that needs longer cannot create an invoice either.
    info_patience_seconds: float = 2.0
    # Rows per page of a list from the node.
    node_page: int = 1000

    # Following the node.
    retry: Pauses = Pauses(0.1, 2.0)
    # How often the store is searched for invoices whose updates were missed.
    sweep_seconds: float = 10.0
    # How long a burst of deletions at the node is gathered, before all open invoices are looked up.
    deletions_seconds: float = 0.25
    # Work that is shorter shows no progress.
    quiet_seconds: float = 2.0

    # How often the event log is searched for events of other processes.
    log_seconds: float = 0.5

    # Webhooks: how often a process looks for changed webhooks, and for those that another one has left.
    webhook_round_seconds: float = 1.0
    # How long a process may send the events of a webhook without renewing its lease.
    webhook_lease_seconds: float = 30.0
    # How long progress is gathered before it is stored. After a crash these events are sent again.
    webhook_progress_seconds: float = 0.25
    # Attempts at a receiver that rejects all events.
    webhook_probes: Pauses = Pauses(5.0, 300.0)

    # Payouts: how often Till checks a node that cannot pay out, in case a different node answers.
    unable_seconds: float = 60.0
    # Back-off of a sweep's step after the node failed.
    sweep_retry: Pauses = Pauses(0.1, 60.0)

    # Sent invoices: a dropped onion message is visible only as a time-out, so the first attempts are short.
    first_attempt_seconds: float = 20.0
    # How often the node is asked for the outcome of attempts that no caller waits for.
    recovery_seconds: float = 5.0
    # How old an attempt of another process on this store must be before Till claims its label.
    young_seconds: float = 3.0

    # How long a commit waits for creates in flight, to share its cost, which is higher than that of a row.
    # On a slow machine 2 ms gather half as many. A create that hangs at the node delays others by this much.
    gather_seconds: float = 0.005
    # Rows per page of a list from the store.
    store_page: int = 1000

    # How often old unpaid invoices are removed, how many in one transaction, and the pause between two.
    retention_seconds: float = 3600.0
    removal_batch: int = 200
    removal_pause_seconds: float = 0.05

    # `tilld doctor`: how long a running Till may take to settle a recent change.
    settling_seconds: float = 1.0
    # With more suspects than this, the doctor reads all invoices of the node again, page by page.
    looked_up_at_once: int = 100

    # How long a caller may take to send a message. Envoy waits longer, because its own error has no code.
    request_seconds: float = 12.0
    # Time-out of a call, including its message: longer than two calls to the node, shorter than Envoy's.
    call_seconds: float = 22.0
    # Least time between pings of a client. Envoy pings every 2 s, and the network may deliver pings closer.
    ping_seconds: float = 1.0
    # Invoice requests per page of REST. Envoy limits a response to 1 MiB; each may have some kilobytes.
    invreq_page: int = 100

    # How long a scrape waits for the event loop: shorter than the time-out of Prometheus.
    scrape_seconds: float = 5.0
    # How long sending the last traces may take at the stop.
    flush_seconds: float = 3.0

    # Webhooks: time-out of an attempt, from the lookup of the host to the head of the answer.
    webhook_seconds: float = 15.0
    # How long the body of an answer may take before its connection is closed. The status decides without it.
    webhook_body_seconds: float = 1.0
    # How long a connection is kept without use. The next attempt makes another one, to a checked address.
    webhook_idle_seconds: float = 15.0

    # How often the health is checked.
    health_check_seconds: float = 1.0
    # How long the store may take to answer a health check.
    health_seconds: float = 5.0

    # How often the certificate files are read.
    certificates_seconds: float = 1.0
    # How long reading them may take before the disk counts as hung.
    read_seconds: float = 5.0


USUAL = Intervals()
