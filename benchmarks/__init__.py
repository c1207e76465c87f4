"""Benchmark of Till's cost, beside the lowest possible cost: `make bench`."""
