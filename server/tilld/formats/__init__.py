"""Formats of the field, read and checked: identifiers, texts, times, amounts, JSON, BOLT 11 and BOLT 12."""
