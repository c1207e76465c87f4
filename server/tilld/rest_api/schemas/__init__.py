"""Schemas of the documented JSON: types that read and write bodies, and generate the OpenAPI document."""
