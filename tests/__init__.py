"""The tests of losant-tokens."""
