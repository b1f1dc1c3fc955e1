"""The resources of a client, one module for each kind of owner."""
