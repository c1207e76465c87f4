"""The documented JSON REST API, behind a proxy that knows google.api.http."""
