"""Invoices sent to another node for its invoice request (BOLT 12), so that it pays."""
