"""Generated gRPC code of the package till.rest.v1: see proto/till/rest/v1."""
