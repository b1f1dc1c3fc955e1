"""The tests of the fake."""
