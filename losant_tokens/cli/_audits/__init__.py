"""Audits: their progress and their findings."""
