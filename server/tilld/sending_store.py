"""What Till remembers of the invoices that it sends: each attempt, written before the node is asked."""

from typing import Any

import peewee

from tilld.invoice import Invoice
from tilld.rows import Rows
from tilld.sending import Sending, State
from tilld.store import PAGE, Store
from tilld.tables import Invoices, Sendings, compiled
from tilld.times import stored_time, unix_seconds


class SendingStore:
    """Attempts, in the database of a store, which raises what it raises there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.database.bind_ctx([Invoices, Sendings]):
            attempts = Sendings.select()
            of_label = attempts.where(Sendings.username == "", Sendings.label == "")
            self._latest = compiled(of_label.order_by(Sendings.attempt.desc()).limit(1))
            is_sending = Sendings.state == peewee.SQL("'sending'")
            under_way = attempts.where(is_sending, Sendings.node_id == "")
            self._under_way = compiled(under_way.order_by(Sendings.created_at).limit(1))
            new = Sendings.insert(dict.fromkeys(Sendings._meta.sorted_fields, 0))
            self._begin = compiled(new.on_conflict_ignore().returning(Sendings.node_label))
            outcome = Sendings.update(state="", code="", reason="")
            self._end = compiled(outcome.where(Sendings.node_label == "", Sendings.state == ""))
            # Changes nothing, and keeps others from ending it meanwhile.
            held = Sendings.update(node_label=Sendings.node_label)
            self._hold = compiled(
                held.where(Sendings.node_label == "", is_sending).returning(Sendings.attempt)
            )
            free = Invoices.update(label=None).where(
                Invoices.username == "",
                Invoices.label == "",
                Invoices.invoice_id != "",
                Invoices.pay_index.is_null(),
            )
            self._free_label = compiled(free)

    async def latest(self, username: str, label: str) -> Sending | None:
        """The last attempt of a user under a label."""
        return SENDINGS.first(await self._store.read(self._latest, username, label, 1))

    async def under_way(self, node_id: str) -> list[Sending]:
        """Attempts of a node whose outcome is not known, the oldest first; at most 1000."""
        return SENDINGS.all(await self._store.read(self._under_way, node_id, PAGE))

    async def begin(self, sending: Sending) -> bool:
        """Write down that an attempt will be made; tells whether it is ours to make.

        It is not where another process has begun the same one.
        """
        # Done twice after a lost connection, it is not ours: then it is looked up at the node, as any other.
        return bool(await self._store.write(lambda do: do.rows(self._begin, *_row(sending))))

    async def end(self, sending: Sending) -> None:
        """Write down the outcome of an attempt, unless that is there already."""
        outcome = (sending.state.value, sending.code, sending.reason)
        values = (*outcome, sending.node_label, State.SENDING.value)
        await self._store.write(lambda do: do.execute(self._end, *values))

    async def add(self, invoice: Invoice) -> None:
        """Add the invoice of an attempt, unless it is there; it takes the label from those that failed.

        Nothing is added once the attempt has ended: who was slow to look would take the label from the next.
        """
        await self._store.write(lambda do: do.add_sent(invoice, self._hold, self._free_label))


def _row(sending: Sending) -> tuple[Any, ...]:
    return (
        sending.username,
        sending.key_id,
        sending.label,
        sending.attempt,
        sending.node_id,
        sending.node_label,
        sending.invreq,
        sending.amount_msat,
        sending.quantity,
        sending.metadata,
        sending.timeout,
        unix_seconds(sending.created_at),
        sending.state.value,
        sending.code,
        sending.reason,
    )


def _sending(row: tuple[Any, ...]) -> Sending:
    *asked, created_at, state, code, reason = row
    return Sending(*(*asked, stored_time(created_at), State(state), code, reason))


SENDINGS = Rows(Sendings.node_label, _sending, lambda sending: sending.type)
