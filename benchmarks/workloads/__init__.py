"""All workloads, in their order."""

from benchmarks.bench import Workload
from benchmarks.workloads import calls, creates, events, lists, upkeep, watching, webhooks

ALL = (
    Workload("calls", "read by id, lookup, info: over gRPC, and over REST through Envoy", calls.reading),
    Workload("mixed", "90 % reads, 9 % creates, 1 % payments", calls.mixed),
    Workload("create", "create, alone and 64 concurrently, on this disk", creates.creating),
    Workload("slow-disk", "create with 2 ms added to each fsync", creates.on_a_slow_disk),
    Workload("lists", "pages, lookups by label and payment hash, a report of 30 days", lists.listing),
    Workload("export", "CSV of a whole store, over gRPC and REST", lists.exporting, is_fresh=True),
    Workload("cancel", "cancel a thousand new invoices, 64 concurrently", lists.canceling),
    Workload("start-up", "start on a large store and on a small one", upkeep.starting),
    Workload("catch-up", "20,000 missed payments", upkeep.catching_up, is_fresh=True),
    Workload("watch", "idle watchers, and notifications, over gRPC", watching.over_grpc, is_fresh=True),
    Workload("watch-rest", "the same over REST through Envoy", watching.over_rest, is_fresh=True),
    Workload("events", "event streams: idle, notified, catching up", events.streaming, is_fresh=True),
    Workload(
        "webhooks",
        "the delay of events, creates beside webhooks, and an outage",
        webhooks.delivering,
        is_fresh=True,
    ),
    Workload("lightningd", "create on the node of --lightning-rpc", creates.on_a_real_node),
    Workload(
        "postgresql",
        "read and create on --postgresql and on SQLite, pages on --postgresql",
        calls.on_postgresql,
    ),
)
