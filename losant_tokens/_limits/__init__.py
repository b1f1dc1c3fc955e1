"""The limits on the requests of a client: their rate, and how many are in flight."""
