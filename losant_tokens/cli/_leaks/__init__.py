"""Leaked secrets: the response, and the facts."""
