"""Tables of invoice requests, their payouts, and the daily sums of each key."""

from peewee import SQL, BigIntegerField, BooleanField, CharField, CompositeKey, Model, TextField
from playhouse.migrate import migrate


def up(migrator, db):
    class Invreqs(Model):
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
            database = db
            table_name = "invreqs"
            indexes = ((("username", "label"), True), (("username", "created_at", "id"), False))

    class Payouts(Model):
        payment_hash = CharField(64)
        created_index = BigIntegerField()
        invreq = CharField(21)
        username = CharField()
        key_id = CharField(12)
        amount_sent_msat = BigIntegerField()
        paid_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "payouts"
            primary_key = CompositeKey("payment_hash", "created_index")

    class Budgets(Model):
        key_id = CharField(12)
        day = BigIntegerField()
        msat = BigIntegerField()

        class Meta:
            database = db
            table_name = "budgets"
            primary_key = CompositeKey("key_id", "day")

    class PaymentCursors(Model):
        node_id = CharField(66, primary_key=True)
        updated_index = BigIntegerField()

        class Meta:
            database = db
            table_name = "payment_cursors"

    # Queried every few seconds: requests that may be due, and pending ones.
    Invreqs.add_index(Invreqs.absolute_expiry, where=Invreqs.active)
    Invreqs.add_index(Invreqs.failed_at, where=Invreqs.active)
    Invreqs.add_index(Invreqs.created_at, where=Invreqs.invreq_id.is_null())
    db.create_tables([Invreqs, Payouts, Budgets, PaymentCursors])
    volume_out_msat = BigIntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    migrate(migrator.add_column("tallies", "volume_out_msat", volume_out_msat, allow_not_null=True))
