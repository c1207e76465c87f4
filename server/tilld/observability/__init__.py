"""What others may see of a running Till: metrics and traces."""
