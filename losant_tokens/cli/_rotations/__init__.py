"""Rotations: run and shown."""
