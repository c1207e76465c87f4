"""Lists of invoices: pages, exports and reports."""
