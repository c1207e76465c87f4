"""The tables, as Peewee models. Only repositories use them."""

from peewee import SQL, BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, Model, TextField


class InvoiceTable(Model):
    """An invoice. Times are seconds since 1970; only a paid invoice has the last four columns.

    An id begins with the creation time, so the order of ids is that of creation.
    """

    id = CharField(24, primary_key=True)
    invoice_id = CharField(21, unique=True)
    username = CharField()
    key_id = CharField(12)
    label = CharField(null=True)
    amount_msat = BigIntegerField(null=True)
    description = TextField(null=True)
    metadata = TextField()
    type = TextField()
    node_id = CharField(66)
    payment_hash = CharField(64, unique=True)
    bolt11 = TextField()
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    status = CharField(8)
    pay_index = BigIntegerField(null=True)
    amount_received_msat = BigIntegerField(null=True)
    paid_at = BigIntegerField(null=True)
    payment_preimage = CharField(64, null=True)

    class Meta:
        """Labels are unique for each user; rows without a label do not collide.

        The other indexes are for lists.
        """

        table_name = "invoices"
        indexes = (
            (("username", "label"), True),
            (("username", "status", "id"), False),
            (("username", "type", "status", "id"), False),
        )


class MemberTable(Model):
    """A searchable member of an invoice's metadata, by the digest of its user, name and value."""

    digest = BigIntegerField()
    id = CharField(24)

    class Meta:
        """The order of ids is that of creation."""

        table_name = "invoice_members"
        primary_key = CompositeKey("digest", "id")


class CancellationTable(Model):
    """An open invoice that the node is being asked to delete."""

    payment_hash = CharField(64, primary_key=True)
    node_id = CharField(66)

    class Meta:
        """The name of the table."""

        table_name = "cancellations"


class RemovedTable(Model):
    """The number of a creator's invoices that were removed (TILLD_KEEP_UNPAID_DAYS). Totals include them."""

    username = CharField()
    key_id = CharField(12)
    invoices = BigIntegerField()

    class Meta:
        """`key_id` is empty without a key."""

        table_name = "removed_invoices"
        primary_key = CompositeKey("username", "key_id")


class NodeTable(Model):
    """A node that was ever seen, with its last getinfo."""

    id = CharField(66, primary_key=True)
    info = TextField()
    seen_at = BigIntegerField()

    class Meta:
        """The name of the table."""

        table_name = "nodes"


class KeyTable(Model):
    """An API key, with the digest of its token. Scopes are separated by spaces."""

    id = CharField(12, primary_key=True)
    digest = CharField(64)
    username = CharField()
    scopes = CharField()
    type = CharField(null=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)

    class Meta:
        """The name of the table."""

        table_name = "keys"


class TotalsTable(Model):
    """The totals of a creator, updated in the transactions that change them."""

    username = CharField()
    key_id = CharField(12)
    invoices = BigIntegerField()
    open_invoices = BigIntegerField()
    volume_msat = BigIntegerField()
    volume_out_msat = BigIntegerField()

    class Meta:
        """`key_id` is empty without a key."""

        table_name = "tallies"
        primary_key = CompositeKey("username", "key_id")


class AttemptTable(Model):
    """An attempt to send an invoice; `node_label` is the invoice_id of the sent invoice."""

    username = CharField()
    key_id = CharField(12)
    label = CharField()
    attempt = IntegerField()
    node_id = CharField(66)
    node_label = CharField(21, unique=True)
    invreq = TextField()
    amount_msat = BigIntegerField(null=True)
    quantity = BigIntegerField(null=True)
    metadata = TextField()
    timeout = IntegerField()
    created_at = BigIntegerField()
    state = CharField(8)
    code = CharField(8)
    reason = TextField()

    class Meta:
        """The name of the table, and its primary key."""

        table_name = "sendings"
        primary_key = CompositeKey("username", "label", "attempt")


class TillTable(Model):
    """A single row with the secret behind derived ids, and when the event log began (milliseconds)."""

    secret = CharField(64)
    log_began_at = BigIntegerField()

    class Meta:
        """The name of the table."""

        table_name = "till"


# Open invoices are few.
InvoiceTable.add_index(InvoiceTable.expires_at, where=SQL("status = 'unpaid'"))
# Removal of old unpaid invoices.
InvoiceTable.add_index(
    InvoiceTable.expires_at,
    name="invoices_ended_expires_at",
    where=SQL("status IN ('expired', 'canceled')"),
)
# Lists by payment.
for owner in ((InvoiceTable.username, InvoiceTable.type), (InvoiceTable.username,)):
    InvoiceTable.add_index(
        *owner,
        InvoiceTable.paid_at,
        InvoiceTable.pay_index,
        InvoiceTable.id,
        where=InvoiceTable.paid_at.is_null(is_null=False),
    )
# Attempts without outcome are few.
AttemptTable.add_index(AttemptTable.created_at, where=AttemptTable.state == "sending")


class InvreqTable(Model):
    """An invoice request. `invreq_id` is NULL until the node's reply is stored."""

    id = CharField(21, primary_key=True)
    invreq_id = CharField(64, null=True, unique=True)
    username = CharField()
    key_id = CharField(12)
    label = CharField(null=True)
    amount_msat = BigIntegerField()
    description = TextField()
    issuer = TextField(null=True)
    single_use = BooleanField()
    absolute_expiry = BigIntegerField(null=True)
    node_id = CharField(66)
    bolt12 = TextField()
    created_at = BigIntegerField()
    active = BooleanField()
    used = BooleanField()
    failed_at = BigIntegerField(null=True)

    class Meta:
        """Labels are unique for each user; rows without a label do not collide."""

        table_name = "invreqs"
        indexes = ((("username", "label"), True), (("username", "created_at", "id"), False))


class PayoutTable(Model):
    """A part of a payment for an invoice request; the amount includes the fee."""

    payment_hash = CharField(64)
    created_index = BigIntegerField()
    invreq = CharField(21)
    username = CharField()
    key_id = CharField(12)
    amount_sent_msat = BigIntegerField()
    paid_at = BigIntegerField()

    class Meta:
        """The node's index distinguishes the parts of a payment."""

        table_name = "payouts"
        primary_key = CompositeKey("payment_hash", "created_index")


class BudgetTable(Model):
    """The sum that a key has offered on a day (days since 1970)."""

    key_id = CharField(12)
    day = BigIntegerField()
    msat = BigIntegerField()

    class Meta:
        """The name of the table."""

        table_name = "budgets"
        primary_key = CompositeKey("key_id", "day")


class CursorTable(Model):
    """The updated index up to which a node's subsystem is settled."""

    node_id = CharField(66)
    subsystem = CharField(16)
    updated_index = BigIntegerField()

    class Meta:
        """The name of the table."""

        table_name = "cursors"
        primary_key = CompositeKey("node_id", "subsystem")
