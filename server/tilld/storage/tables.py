"""The tables, as Peewee models. Only repositories read and write them."""

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, Model, TextField


class InvoiceTable(Model):
    """A row for each invoice. Times are seconds since 1970; a paid one has the last three columns."""

    id = CharField(24, primary_key=True)
    invoice_id = CharField(21, unique=True)
    username = CharField()
    key_id = CharField(12)
    label = CharField(null=True)
    amount_msat = BigIntegerField(null=True)
    description = TextField(null=True)
    metadata = TextField()
    node_id = CharField(66)
    payment_hash = CharField(64, unique=True)
    bolt11 = TextField()
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    expired = BooleanField()
    pay_index = BigIntegerField(null=True)
    amount_received_msat = BigIntegerField(null=True)
    paid_at = BigIntegerField(null=True)

    class Meta:
        """A label is unique for each user; rows without one do not collide."""

        table_name = "invoices"
        indexes = ((("username", "label"), True),)


class NodeTable(Model):
    """A row for each node ever seen, with its last getinfo."""

    id = CharField(66, primary_key=True)
    info = TextField()
    seen_at = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "nodes"


class KeyTable(Model):
    """A row for each API key ever made; of the key itself only a hash. Scopes have spaces between them."""

    id = CharField(12, primary_key=True)
    digest = CharField(64)
    username = CharField()
    scopes = CharField()
    type = CharField(null=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)

    class Meta:
        """Its name."""

        table_name = "keys"


class TotalsTable(Model):
    """A row for each key that did anything: its totals, kept in the transactions that change them."""

    username = CharField()
    key_id = CharField(12)
    invoices = BigIntegerField()
    open_invoices = BigIntegerField()
    volume_msat = BigIntegerField()
    volume_out_msat = BigIntegerField()

    class Meta:
        """Without a key it is an empty one."""

        table_name = "tallies"
        primary_key = CompositeKey("username", "key_id")


class AttemptTable(Model):
    """A row for each attempt to send an invoice; `node_label` is the invoice_id of what came of it."""

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
        """Its name, and what each attempt is known by."""

        table_name = "sendings"
        primary_key = CompositeKey("username", "label", "attempt")


class TillTable(Model):
    """One row: the secret behind derived ids."""

    secret = CharField(64)

    class Meta:
        """Its name."""

        table_name = "till"


# The open ones, which are few.
InvoiceTable.add_index(InvoiceTable.expires_at, where=InvoiceTable.paid_at.is_null() & ~InvoiceTable.expired)
# Those of which the outcome is not known yet, which are few.
AttemptTable.add_index(AttemptTable.created_at, where=AttemptTable.state == "sending")


class InvreqTable(Model):
    """A row for each invoice request. One that the node is not known to have has no invreq_id."""

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
        """A label is unique for each user; rows without one do not collide."""

        table_name = "invreqs"
        indexes = ((("username", "label"), True), (("username", "created_at", "id"), False))


class PayoutTable(Model):
    """A row for each part of a payment that was made for an invoice request; the sum is with its fee."""

    payment_hash = CharField(64)
    created_index = BigIntegerField()
    invreq = CharField(21)
    username = CharField()
    key_id = CharField(12)
    amount_sent_msat = BigIntegerField()
    paid_at = BigIntegerField()

    class Meta:
        """The node's index tells the parts apart."""

        table_name = "payouts"
        primary_key = CompositeKey("payment_hash", "created_index")


class BudgetTable(Model):
    """A row for each key and day (since 1970) with the sum of what it has offered."""

    key_id = CharField(12)
    day = BigIntegerField()
    msat = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "budgets"
        primary_key = CompositeKey("key_id", "day")


class CursorTable(Model):
    """A row for each node and each of its indexes that is followed: up to where its updates are settled."""

    node_id = CharField(66)
    subsystem = CharField(16)
    updated_index = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "cursors"
        primary_key = CompositeKey("node_id", "subsystem")
