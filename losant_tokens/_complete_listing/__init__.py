"""Lists of tokens that are proven complete, although tokens move while they are listed."""
