"""The lightning node: JSON-RPC, getinfo, abilities and errors."""
