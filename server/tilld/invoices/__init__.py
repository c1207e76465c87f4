"""Invoices: the thing itself, its use cases, how it is stored, what the node says of it, who watches it."""
