"""Make, write and read plans."""
