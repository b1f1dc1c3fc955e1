"""Jobs: run, reported and shown."""
