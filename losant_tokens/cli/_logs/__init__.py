"""The log of a command."""
