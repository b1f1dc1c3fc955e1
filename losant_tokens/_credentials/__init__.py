"""The claims of the access token, and the operations that its scopes allow.

`token_claims` reads the scopes and the expiry from a token. `scope_check` decides whether the
server is certain to refuse an operation, so that a call can fail before anything is sent.
"""
