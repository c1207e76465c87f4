"""lightningd's JSON-RPC: requests, parameters and replies."""
