"""Evidence of use: the tokens that audit logs name as actors."""
