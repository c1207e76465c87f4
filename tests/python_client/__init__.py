"""The Python client and the command `till`, against a real tilld."""
