"""Calls: their attempts, and the open client that they share.

A method of a resource passes its arguments to `session`, which checks the token and builds the
request. `call` waits and retries until there is a result, and `exchange` sends each attempt.
`pagination` makes a call for each page of a list, as `listing_progress` decides. `token_renewal`
keeps the token, which can change between two attempts, and `token_source` asks for the next one.
"""
