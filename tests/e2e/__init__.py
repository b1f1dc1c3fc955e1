"""Tests of the command in processes of its own."""
