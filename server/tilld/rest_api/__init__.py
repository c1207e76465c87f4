"""The JSON REST API, behind a proxy that transcodes by google.api.http."""
