"""Settings of limits: what each key may do, and how long data is kept."""

from pydantic import BaseModel

from tilld.config.fields import RUN, setting


class Limits(BaseModel):
    """The part of Config with limits."""

    key_creates_per_second: float = setting(
        100, RUN, "Most invoices that each key may create per second; a fraction is allowed.", gt=0
    )
    key_open_invoices: int = setting(10_000, RUN, "Most open invoices per key.", gt=0)
    key_watches: int = setting(10_000, RUN, "Most concurrent watches per key.", gt=0)
    key_exports: int = setting(4, RUN, "Most concurrent exports and reports per key.", gt=0)
    key_payout_msat: int = setting(
        100_000_000,
        RUN,
        "Most msat that one invoice request may pay out, for each key with the scope payouts.",
        gt=0,
    )
    key_payouts_msat_per_day: int = setting(
        1_000_000_000,
        RUN,
        "Most msat that each key with the scope payouts may pay out per day (UTC); 0 is no limit.",
        ge=0,
        lt=2**63,
    )
    # If a payment begins in the milliseconds between the last check and the disabling,
    # lightningd v26.06 aborts, and aborts again at each start.
    allow_invreq_disable: bool = setting(
        False,
        RUN,
        "Allow keys to disable invoice requests, and to set absolute_expiry. "
        "This can stop lightningd for good.",
    )
    keep_unpaid_days: int | None = setting(
        None,
        (*RUN, "import"),
        "Days after its expiry for which an expired or canceled invoice is kept. Paid invoices are never "
        "removed.",
        "DAYS",
        shown="no limit",
        gt=0,
        le=36_500,
    )
    keep_events_days: int = setting(
        30,
        RUN,
        "Days for which an event is kept. An expired or canceled invoice is kept at least as long as its "
        "events.",
        "DAYS",
        ge=1,
        le=36_500,
    )
