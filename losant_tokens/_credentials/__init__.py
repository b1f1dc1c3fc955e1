"""The claims of the access token, and the scopes that they allow."""
