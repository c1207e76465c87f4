"""The log of events: written in the transactions that change something, read from any place."""
