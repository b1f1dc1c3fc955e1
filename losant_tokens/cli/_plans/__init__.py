"""Plans: made from options or a policy, and shown."""
