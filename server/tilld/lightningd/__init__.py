"""The lightning node: its JSON-RPC, what it is and can do, and its errors."""
