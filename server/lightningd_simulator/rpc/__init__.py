"""JSON-RPC as lightningd speaks it: requests, parameters, answers."""
