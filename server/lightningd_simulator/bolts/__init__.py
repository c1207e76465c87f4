"""Signed payment requests: BOLT 11 and BOLT 12."""
