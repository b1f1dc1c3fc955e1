"""The page with the runs of a fleet."""
