"""The typed gRPC API, and the server that carries it."""
