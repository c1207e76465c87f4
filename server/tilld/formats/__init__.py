"""Parses and checks identifiers, texts, times, amounts, JSON, BOLT 11 and BOLT 12."""
