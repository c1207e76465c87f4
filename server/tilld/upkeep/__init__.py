"""Upkeep of the store: doctor, import and retention."""
