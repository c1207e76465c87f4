"""Payouts by invoice requests (BOLT 12): creation, payment by the node, disabling."""
