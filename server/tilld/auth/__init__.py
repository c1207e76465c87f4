"""Authentication and authorization of callers, and limits per key."""
