"""API keys."""

from peewee import BigIntegerField, CharField, Model


def up(migrator, db):
    class Keys(Model):
        id = CharField(12, primary_key=True)
        digest = CharField(64)
        username = CharField()
        scopes = CharField()
        type = CharField(null=True)
        created_at = BigIntegerField()
        expires_at = BigIntegerField(null=True)
        revoked_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "keys"

    db.create_tables([Keys])
