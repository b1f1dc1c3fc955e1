"""Tests of the command in separate processes."""
