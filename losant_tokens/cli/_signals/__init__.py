"""Signals that stop a command."""
