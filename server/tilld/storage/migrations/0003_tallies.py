"""The key of each invoice, and totals per key instead of overall totals."""

from peewee import SQL, BigIntegerField, BooleanField, Case, CharField, CompositeKey, Model, fn
from playhouse.migrate import migrate


def up(migrator, db):
    class Invoices(Model):
        username = CharField()
        expired = BooleanField()
        amount_received_msat = BigIntegerField(null=True)
        paid_at = BigIntegerField(null=True)

        class Meta:
            database = db
            primary_key = False
            table_name = "invoices"

    class Tallies(Model):
        username = CharField()
        key_id = CharField(12)
        invoices = BigIntegerField()
        open_invoices = BigIntegerField()
        volume_msat = BigIntegerField()

        class Meta:
            database = db
            primary_key = CompositeKey("username", "key_id")
            table_name = "tallies"

    db.create_tables([Tallies])
    counted = Invoices.select(
        Invoices.username,
        SQL("''"),
        fn.COUNT(1),
        fn.SUM(Case(None, [(Invoices.paid_at.is_null() & ~Invoices.expired, 1)], 0)),
        fn.COALESCE(fn.SUM(Invoices.amount_received_msat), 0),
    ).group_by(Invoices.username)
    Tallies.insert_from(counted, list(Tallies._meta.sorted_fields)).execute()
    key_id = CharField(12, default="", constraints=[SQL("DEFAULT ''")])
    migrate(
        # The default of the column avoids writing each row.
        migrator.add_column("invoices", "key_id", key_id, allow_not_null=True),
        migrator.drop_column("till", "invoices"),
        migrator.drop_column("till", "volume_msat"),
    )
