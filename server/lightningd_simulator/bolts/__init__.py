"""Payment requests, signed: BOLT 11 and BOLT 12."""
