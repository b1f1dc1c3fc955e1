"""Quarantine: deactivate tokens with a plan, and later delete them or activate them again."""
