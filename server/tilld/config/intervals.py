"""How long Till waits, how often it looks, and how much it takes at once."""

from typing import NamedTuple


class Pauses(NamedTuple):
    """Seconds between the tries of what fails: the first pause, doubled each time, up to the longest."""

    first: float
    longest: float


class Intervals(NamedTuple):
    """Handed down beside the settings. An operator has no reason to change them; tests have shorter ones."""

    # How long one call of the node may take. A call of Till may need two of them.
    node_call_seconds: float = 10.0
    # How often a node that is silent is asked whether it is still there.
    liveness_seconds: float = 15.0
    # How long what the node says of itself is told to whoever asks.
    info_seconds: float = 1.0
    # A node that needs longer to tell who it is can't create an invoice either.
    info_patience_seconds: float = 2.0
    # How many rows are asked of the node at once.
    node_page: int = 1000

    # Following the node.
    retry: Pauses = Pauses(0.1, 2.0)
    # How often the store is searched for what the updates did not tell.
    sweep_seconds: float = 10.0
    # What takes no longer shows no progress.
    quiet_seconds: float = 2.0

    # Payouts: how often a node that cannot pay out is looked at, in case that another one answers.
    unable_seconds: float = 60.0
    # And the pauses of a step of the sweep that the node fails.
    sweep_retry: Pauses = Pauses(0.1, 60.0)

    # Sent invoices: a dropped message shows only as silence, so the first attempts are short.
    first_attempt_seconds: float = 20.0
    # How often the node is asked what became of attempts that nobody waits for.
    recovery_seconds: float = 5.0
    # How long an attempt of another process on this store is left alone before its label is taken from it.
    young_seconds: float = 3.0

    # How long a commit waits for what is on its way, and shares it: it costs more than a row. On a slow
    # machine 2 ms gather half as many. While one hangs at the node, the others pay as much for it.
    gather_seconds: float = 0.005
    # How many rows are read from the store at once.
    store_page: int = 1000

    # `tilld doctor`: what a running Till needs to settle what has just happened.
    settling_seconds: float = 1.0
    # Of more suspects than these the node's whole list is read again, by a call for each page.
    looked_up_at_once: int = 100

    # How long a caller may take to send a message. Envoy waits longer, and its own error would have no code.
    request_seconds: float = 12.0
    # How long a call may take with that: longer than two calls of the node, shorter than Envoy waits.
    call_seconds: float = 22.0
    # How often callers may ping. Envoy does every 2 s, which the network may deliver closer together.
    ping_seconds: float = 1.0
    # How many invoice requests a page of REST has. Envoy lets 1 MiB pass; each may have some kilobytes.
    invreq_page: int = 100

    # How long a scrape waits for the event loop: less than Prometheus waits for it.
    scrape_seconds: float = 5.0
    # How long sending the last traces may take.
    flush_seconds: float = 3.0

    # How often the files of certificates are read, and when a disk is taken to hang.
    certificates_seconds: float = 1.0
    read_seconds: float = 5.0


USUAL = Intervals()
