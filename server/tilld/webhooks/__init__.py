"""Webhooks: events posted to the servers of shops."""
