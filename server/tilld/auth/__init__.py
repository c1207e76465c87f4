"""Who calls, what their key may do, and how much of it."""
