"""Calls: their attempts, and the open client that they share.

A method of a resource passes its arguments to `session`, which checks the token and builds the
request. `call` then sends it, and waits and retries until there is a result. `pagination` makes a
call for each page of a list. Only this package uses the pool, the limits and the retries together.
"""
