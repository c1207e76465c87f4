"""Clients for Till, the cash register for Core Lightning. Generated gRPC code is in till.v1."""
