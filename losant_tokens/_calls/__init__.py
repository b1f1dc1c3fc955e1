"""Calls: their attempts, and the open client that they share."""
