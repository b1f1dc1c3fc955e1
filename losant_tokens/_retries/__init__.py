"""Which failures are retried, when, and how often."""
