"""The posts of webhooks: which addresses they may reach, and connections to them."""
