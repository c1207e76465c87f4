"""One table of cursors, for the invoices and the payments of each node."""

from peewee import BigIntegerField, CharField, CompositeKey, Model, Value
from playhouse.migrate import migrate


def up(migrator, db):
    class Cursors(Model):
        node_id = CharField(66)
        subsystem = CharField(16)
        updated_index = BigIntegerField()

        class Meta:
            database = db
            primary_key = CompositeKey("node_id", "subsystem")
            table_name = "cursors"

    class Nodes(Model):
        id = CharField(66, primary_key=True)
        updated_index = BigIntegerField()

        class Meta:
            database = db
            table_name = "nodes"

    class PaymentCursors(Model):
        node_id = CharField(66, primary_key=True)
        updated_index = BigIntegerField()

        class Meta:
            database = db
            table_name = "payment_cursors"

    db.create_tables([Cursors])
    columns = [Cursors.node_id, Cursors.subsystem, Cursors.updated_index]
    for table, node_id, subsystem in (
        (Nodes, Nodes.id, "invoices"),
        (PaymentCursors, PaymentCursors.node_id, "sendpays"),
    ):
        Cursors.insert_from(table.select(node_id, Value(subsystem), table.updated_index), columns).execute()
    db.drop_tables([PaymentCursors])
    migrate(migrator.drop_column("nodes", "updated_index"))
