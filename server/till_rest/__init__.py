"""Generated code of the REST services."""
