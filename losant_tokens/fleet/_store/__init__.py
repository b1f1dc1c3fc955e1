"""The database of a fleet, and the table of its runs."""
