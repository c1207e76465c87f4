"""Generated gRPC code of the package till.v1: see proto/till/v1."""
