"""Events for applications: lists and streams of the event log."""
