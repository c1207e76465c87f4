"""Invoices: domain types, use cases, storage, and the node's replies about them."""
