"""The limits on the requests of a client: their rate, and how many are in flight.

Each attempt of a call first waits for `rate_limiter` and then for `concurrency_limiter`.
`adaptive_rate` finds the rate that a server admits after a 429. Jobs share these limits with the
calls of their client.
"""
