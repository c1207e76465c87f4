"""Webhooks: URLs that receive events, and the deliveries to them."""
