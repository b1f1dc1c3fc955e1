"""Accounts and their tokens, checked and shown."""
