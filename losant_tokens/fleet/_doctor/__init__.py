"""The diagnosis of a fleet."""
