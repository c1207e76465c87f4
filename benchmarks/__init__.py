"""What Till costs, beside what the same would cost at least: `make bench`."""
